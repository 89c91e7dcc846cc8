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
import { type Attempts, LONGEST_PAUSE_MS, makeAttempts, QUIET_MS } from './attempts.ts';
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
const MAX_AT_ONCE = 8;

type NotifierOptions = OutboundOptions & {
  readonly random?: () => number;
  readonly timing?: NotifierTiming;
};

export class NotificationSender implements Notifier {
  readonly #deps: CoreDeps;
  readonly #sweepMs: number;
  readonly #attempts: Attempts;
  /** By receiver. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** When each address was tested, ms since the epoch. */
  readonly #tested = new Map<string, number>();
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** Start of the uptime for which due times have already been corrected. */
  #upSince: number | undefined;

  constructor(deps: CoreDeps, { random = Math.random, timing = TIMING, ...outbound }: NotifierOptions = {}) {
    this.#deps = deps;
    this.#sweepMs = timing.sweepMs;
    const { deadlineMs } = timing;
    this.#attempts = makeAttempts(deps, { outbound, deadlineMs, random, stopping: this.#stopping.signal });
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => {
      this.#beginDue().catch((error: unknown) =>
        this.#deps.log.error({ err: error }, 'looking for notifications to send failed'),
      );
    }, this.#sweepMs).unref();
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await Promise.all(this.#underWay.values());
  }

  async test(receiver: Row<'receiver'>): Promise<void> {
    this.#takeTest(receiver);
    await this.#attempts.send(receiver, {
      id: randomUUIDv7(),
      notices: [withUrl(testOf(this.#later(0)), this.#deps.hubUrl())],
      leftOut: 0,
    });
  }

  /** Sends what is due, and waits for it. */
  async sweep(): Promise<void> {
    await this.#beginDue();
    await Promise.all(this.#underWay.values());
  }

  async #beginDue(): Promise<void> {
    await this.#mindClock();
    const due = await listDue(this.#deps.db, this.#later(0), MAX_AT_ONCE * 2);
    // stop() waits for the work in progress and then closes the store, so start nothing new.
    if (this.#stopping.signal.aborted) return;
    for (const { id, receiver_id } of due) {
      if (this.#underWay.size < MAX_AT_ONCE && !this.#underWay.has(receiver_id)) this.#begin(receiver_id, id);
    }
  }

  #begin(receiverId: string, deliveryId: string): void {
    const work = this.#attempts
      .deliver(deliveryId)
      .catch((error: unknown) => this.#deps.log.error({ err: error, deliveryId }, 'sending a notification failed'))
      .finally(() => this.#underWay.delete(receiverId));
    this.#underWay.set(receiverId, work);
  }

  /** Corrects due times written by a clock that was ahead: they would delay a receiver until then. */
  async #mindClock(): Promise<void> {
    const { db, uptime } = this.#deps;
    const since = uptime.from(0);
    if (since === this.#upSince) return;
    await bringNear(db, {
      now: this.#later(0),
      quietUntil: this.#later(QUIET_MS),
      dueAt: this.#later(2 * LONGEST_PAUSE_MS),
    });
    this.#upSince = since;
  }

  /** By address, since the same one may be added again, also elsewhere. @throws OrkestrError ORK_TOO_MANY_REQUESTS */
  #takeTest(receiver: Row<'receiver'>): void {
    const { sealer, clock, uptime } = this.#deps;
    for (const [address, at] of this.#tested) if (uptime.elapsed(at) >= TEST_PAUSE_MS) this.#tested.delete(address);
    const { address } = openReceiver(sealer, receiver);
    if (this.#tested.has(address)) {
      throw new OrkestrError(
        'ORK_TOO_MANY_REQUESTS',
        `This address was tested a moment ago: wait ${TEST_PAUSE_MS / 1000} s between tests.`,
      );
    }
    this.#tested.set(address, clock.now().getTime());
  }

  #later(ms: number): string {
    return new Date(this.#deps.clock.now().getTime() + ms).toISOString();
  }
}

const testOf = (at: string): Notice =>
  Notice.parse({ kind: 'test', at, summary: 'Test: notifications from orkestr arrive here', path: '/' });
