/** How long a host waits after a failure. Pure. */
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * First and longest wait by the kind of failure, ms. CAs count a failed validation (Let's Encrypt allows five per host
 * and hour); doubling from five minutes on makes four in the first hour. A rate limit lasts hours or days. The others,
 * a name that does not point here, a CA that is down or a disk that is full, cost no CA anything and are retried soon.
 */
const WAITS = new Map<ErrorCode, readonly [first: number, longest: number]>([
  ['ORK_ACME_DNS', [MINUTE_MS, HOUR_MS]],
  ['ORK_ACME_UNREACHABLE', [MINUTE_MS, HOUR_MS]],
  ['ORK_DISK_FULL', [MINUTE_MS, 10 * MINUTE_MS]],
  ['ORK_ACME_CHALLENGE', [5 * MINUTE_MS, 24 * HOUR_MS]],
  ['ORK_ACME_LIMIT', [HOUR_MS, 7 * 24 * HOUR_MS]],
]);
const OTHERS = [10 * MINUTE_MS, 24 * HOUR_MS] as const;

/** A crash in the middle of an order is not the host's fault, so the wait is short, and longer if it happens again. */
const INTERRUPTED = [MINUTE_MS, HOUR_MS] as const;

/** The longest wait of all; a longer one means that the clock has jumped. */
export const LONGEST_WAIT_MS = 7 * 24 * HOUR_MS;

/**
 * A recorded time, ISO 8601, as ms since 1970. 0: there is none, or it is beyond the longest wait, and so was
 * written with a wrong clock and does not count.
 */
export function notBefore(time: string | null, now: number): number {
  const at = time === null ? 0 : Date.parse(time);
  return at > now + LONGEST_WAIT_MS ? 0 : at;
}

/**
 * Wait after the `tries`th failure in a row, ms. It doubles each time, is a tenth more or less at random, so that hosts
 * that failed together do not retry together, and is never shorter than the CA asked for.
 *
 * @param random from 0 to 1
 */
export function waitAfter(code: ErrorCode, tries: number, retryAfterMs: number | null, random: number): number {
  const wait = doubled(WAITS.get(code) ?? OTHERS, tries);
  return Math.min(Math.max(wait * (0.9 + random * 0.2), retryAfterMs ?? 0), LONGEST_WAIT_MS);
}

/** Wait after the process has ended during a try for the `times`th time in a row, ms. */
export const waitAfterInterruption = (times: number): number => doubled(INTERRUPTED, times);

const doubled = ([first, longest]: readonly [number, number], times: number): number =>
  Math.min(first * 2 ** Math.min(times - 1, 30), longest);
