/**
 * Sends due messages. All state is in the store, so a restart loses nothing; a message in transit is sent again under
 * the same id. Each receiver gets one message at a time, so a slow receiver delays only itself.
 */
import { randomUUIDv7 } from 'node:crypto';
import { type ErrorReport, OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CoreDeps, Notifier } from '../deps.ts';
import { Notice } from '../model/notice.ts';
import { type OutboundOptions, post } from '../outbound/post.ts';
import { beginTry, bringNear, endDelivery, listDue, readNotices, tryAgain } from '../store/deliveries.ts';
import { openReceiver } from '../store/receivers.ts';
import type { Row } from '../store/schema.ts';
import { KINDS } from './kinds/index.ts';
import { type Message, withUrl } from './notice.ts';

interface NotifierTiming {
  /** Interval of the check for due messages, ms. */
  readonly sweepMs: number;
  /** Limit for one attempt, ms. */
  readonly deadlineMs: number;
}

const TIMING: NotifierTiming = { sweepMs: 2_000, deadlineMs: 20_000 };
/** An attempt that was cut off by the death of the hub is repeated after this time, ms. Longer than any deadline. */
const LEASE_MS = 60_000;
/** After a message, further notices are collected for this long, ms. */
const QUIET_MS = 60_000;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** Counted from the first attempt, ms. */
const GIVE_UP_MS = 24 * 3_600_000;
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
  const { db, sealer, clock, uptime, config, log } = deps;
  /** By receiver. */
  const underWay = new Map<string, Promise<void>>();
  /** When each address was tested, ms since the epoch. */
  const tested = new Map<string, number>();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  /** Start of the uptime for which due times have already been corrected. */
  let upSince: number | undefined;
  const later = (ms: number): string => new Date(clock.now().getTime() + ms).toISOString();

  async function send(receiver: Row<'receiver'>, message: Message): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(timing.deadlineMs)]);
    await KINDS[receiver.kind].send(message, openReceiver(sealer, receiver), {
      mail: config.mail,
      hubUrl: deps.hubUrl(),
      now: clock.now(),
      signal,
      ca: outbound.ca,
      post: (what) => post(config.notify, what, signal, outbound),
    });
  }

  async function deliver(id: string): Promise<void> {
    const times = { now: later(0), dueAt: later(LEASE_MS) };
    const begun = await db.transaction().execute((trx) => beginTry(trx, id, times));
    if (begun === undefined) return;
    const { delivery, receiver } = begun;
    try {
      const notices = readNotices(delivery).map((notice) => withUrl(notice, deps.hubUrl()));
      await send(receiver, { id, notices, leftOut: delivery.left_out });
    } catch (error) {
      // Interrupted by our own shutdown: the next start retries.
      if (!stopping.signal.aborted) await failed(delivery, toErrorReport(error));
      return;
    }
    await end(delivery, null);
  }

  async function failed(delivery: Row<'delivery'>, error: ErrorReport): Promise<void> {
    const { id, receiver_id: receiverId, attempts, begun_at } = delivery;
    log.warn({ receiverId, id, attempts, code: error.code, reason: error.message }, 'a notification did not arrive');
    const sinceMs = clock.now().getTime() - Date.parse(begun_at ?? later(0));
    if (sinceMs >= GIVE_UP_MS) return end(delivery, error);
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempts - 1));
    await tryAgain(db, id, later(pause * (0.5 + random())), error);
  }

  const end = (delivery: Row<'delivery'>, error: ErrorReport | null): Promise<void> =>
    db
      .transaction()
      .execute((trx) => endDelivery(trx, delivery, { error, now: later(0), quietUntil: later(QUIET_MS) }));

  function begin(receiverId: string, deliveryId: string): void {
    const work = deliver(deliveryId)
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
      }, timing.sweepMs).unref();
      await Promise.resolve();
    },
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await Promise.all(underWay.values());
    },
    async test(receiver) {
      takeTest(receiver);
      await send(receiver, { id: randomUUIDv7(), notices: [withUrl(testOf(later(0)), deps.hubUrl())], leftOut: 0 });
    },
    async sweep() {
      await sweep();
      await Promise.all(underWay.values());
    },
  };
}

const testOf = (at: string): Notice =>
  Notice.parse({ kind: 'test', at, summary: 'Test: notifications from orkestr arrive here', path: '/' });
