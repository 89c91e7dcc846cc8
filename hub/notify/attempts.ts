/** One attempt to deliver a message: sent to its receiver, and then ended, or due again after a pause. */
import { type ErrorReport, toErrorReport } from '../../protocol/errors.ts';
import type { CoreDeps } from '../deps.ts';
import { type OutboundOptions, post } from '../outbound/post.ts';
import { beginTry, endDelivery, readNotices, tryAgain } from '../store/deliveries.ts';
import { openReceiver } from '../store/receivers.ts';
import type { Row } from '../store/schema.ts';
import { KINDS } from './kinds/index.ts';
import { type Message, withUrl } from './notice.ts';

/** An attempt that was cut off by the death of the hub is repeated after this time, ms. Longer than any deadline. */
const LEASE_MS = 60_000;
/** After a message, further notices are collected for this long, ms. */
export const QUIET_MS = 60_000;
const FIRST_PAUSE_MS = 10_000;
export const LONGEST_PAUSE_MS = 3_600_000;
/** Counted from the first attempt, ms. */
const GIVE_UP_MS = 24 * 3_600_000;

interface AttemptOptions {
  readonly outbound: OutboundOptions;
  /** Limit for one attempt, ms. */
  readonly deadlineMs: number;
  readonly random: () => number;
  /** Aborts at the shutdown of the hub. */
  readonly stopping: AbortSignal;
}

export interface Attempts {
  /** Does nothing if the delivery is not due any more. Errors of its receiver are stored, not thrown. */
  deliver(deliveryId: string): Promise<void>;
  /** @throws what the receiver answers, and at the deadline */
  send(receiver: Row<'receiver'>, message: Message): Promise<void>;
}

export function makeAttempts(deps: CoreDeps, { outbound, deadlineMs, random, stopping }: AttemptOptions): Attempts {
  const { db, sealer, clock, config, log } = deps;
  const later = (ms: number): string => new Date(clock.now().getTime() + ms).toISOString();

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
      if (!stopping.aborted) await failed(delivery, toErrorReport(error));
      return;
    }
    await end(delivery, null);
  }

  async function send(receiver: Row<'receiver'>, message: Message): Promise<void> {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(deadlineMs)]);
    await KINDS[receiver.kind].send(message, openReceiver(sealer, receiver), {
      mail: config.mail,
      hubUrl: deps.hubUrl(),
      now: clock.now(),
      signal,
      ca: outbound.ca,
      post: (what) => post(config.notify, what, signal, outbound),
    });
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

  return { deliver, send };
}
