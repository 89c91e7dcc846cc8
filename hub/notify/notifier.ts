/**
 * Sends due messages. All state is in the store, so a restart loses nothing; a message in transit is sent again under
 * the same id. Each receiver gets one message at a time, so a slow receiver delays only itself.
 */
import { randomUUIDv7 } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import type { CoreDeps, Notifier } from '../deps.ts';
import { Notice } from '../model/notice.ts';
import type { OutboundOptions } from '../outbound/post.ts';
import { bringNear, listDue } from '../store/deliveries.ts';
import { openReceiver } from '../store/receivers.ts';
import type { Row } from '../store/schema.ts';
import { LONGEST_PAUSE_MS, makeAttempts, QUIET_MS } from './attempts.ts';
import { withUrl } from './notice.ts';

interface NotifierTiming {
  /** Interval of the check for due messages, ms. */
  readonly sweepMs: number;
  /** Limit for one attempt, ms. */
  readonly deadlineMs: number;
}

const TIMING: NotifierTiming = { sweepMs: 2_000, deadlineMs: 20_000 };
/** Minimum time between tests of an address, ms: it may belong to somebody who never asked for them. */
const TEST_PAUSE_MS = 10_000;
/** Maximum number of receivers served at the same time. */
const MOST_AT_ONCE = 8;

export function makeNotifier(
  deps: CoreDeps,
  {
    random = Math.random,
    timing = TIMING,
    ...outbound
  }: OutboundOptions & {
    readonly random?: () => number;
    readonly timing?: NotifierTiming;
  } = {},
): Notifier & { sweep(): Promise<void> } {
  const { db, sealer, clock, uptime, log } = deps;
  /** By receiver. */
  const underWay = new Map<string, Promise<void>>();
  /** When each address was tested, ms since the epoch. */
  const tested = new Map<string, number>();
  const stopping = new AbortController();
  const { deadlineMs, sweepMs } = timing;
  const attempts = makeAttempts(deps, { outbound, deadlineMs, random, stopping: stopping.signal });
  let timer: NodeJS.Timeout | undefined;
  /** Start of the uptime for which due times have already been corrected. */
  let upSince: number | undefined;
  const later = (ms: number): string => new Date(clock.now().getTime() + ms).toISOString();

  function begin(receiverId: string, deliveryId: string): void {
    const work = attempts
      .deliver(deliveryId)
      .catch((error: unknown) => log.error({ err: error, deliveryId }, 'sending a notification failed'))
      .finally(() => underWay.delete(receiverId));
    underWay.set(receiverId, work);
  }

  /** Correct due times written by a clock that was ahead: they would delay a receiver until then. */
  async function mindClock(): Promise<void> {
    const since = uptime.from(0);
    if (since === upSince) return;
    await bringNear(db, { now: later(0), quietUntil: later(QUIET_MS), dueAt: later(2 * LONGEST_PAUSE_MS) });
    upSince = since;
  }

  async function sweep(): Promise<void> {
    await mindClock();
    const due = await listDue(db, later(0), MOST_AT_ONCE * 2);
    // stop() waits for the work in progress and then closes the store, so start nothing new.
    if (stopping.signal.aborted) return;
    for (const { id, receiver_id } of due) {
      if (underWay.size < MOST_AT_ONCE && !underWay.has(receiver_id)) begin(receiver_id, id);
    }
  }

  /** By address, since the same one may be added again, also elsewhere. @throws OrkestrError ORK_TOO_MANY_REQUESTS */
  function takeTest(receiver: Row<'receiver'>): void {
    for (const [address, at] of tested) if (uptime.elapsed(at) >= TEST_PAUSE_MS) tested.delete(address);
    const { address } = openReceiver(sealer, receiver);
    if (tested.has(address)) {
      throw new OrkestrError(
        'ORK_TOO_MANY_REQUESTS',
        `This address was tested a moment ago: wait ${TEST_PAUSE_MS / 1000} s between tests.`,
      );
    }
    tested.set(address, clock.now().getTime());
  }

  return {
    async start() {
      timer = setInterval(() => {
        sweep().catch((error: unknown) => log.error({ err: error }, 'looking for notifications to send failed'));
      }, sweepMs).unref();
      await Promise.resolve();
    },
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await Promise.all(underWay.values());
    },
    async test(receiver) {
      takeTest(receiver);
      await attempts.send(receiver, {
        id: randomUUIDv7(),
        notices: [withUrl(testOf(later(0)), deps.hubUrl())],
        leftOut: 0,
      });
    },
    async sweep() {
      await sweep();
      await Promise.all(underWay.values());
    },
  };
}

const testOf = (at: string): Notice =>
  Notice.parse({ kind: 'test', at, summary: 'Test: notifications from orkestr arrive here', path: '/' });
