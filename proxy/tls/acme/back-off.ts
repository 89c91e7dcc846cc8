/** How long a host waits after a failure. Pure. */
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * First wait and longest wait by what went wrong, ms. A name that does not point here, a CA that is down, or a disk that is
 * full before a CA was asked costs no CA anything, and is soon looked at again. A failed validation is counted by CAs (Let's Encrypt takes five per host
 * and hour), and doubling from five minutes on gives four in the first hour. A limit is told in hours or days.
 */
const WAITS = new Map<ErrorCode, readonly [first: number, longest: number]>([
  ['ORK_ACME_DNS', [MINUTE_MS, HOUR_MS]],
  ['ORK_ACME_UNREACHABLE', [MINUTE_MS, HOUR_MS]],
  ['ORK_DISK_FULL', [MINUTE_MS, 10 * MINUTE_MS]],
  ['ORK_ACME_CHALLENGE', [5 * MINUTE_MS, 24 * HOUR_MS]],
  ['ORK_ACME_LIMIT', [HOUR_MS, 7 * 24 * HOUR_MS]],
]);
const OTHERS = [10 * MINUTE_MS, 24 * HOUR_MS] as const;

/** A crash in the middle of an order is no fault of the host, so it waits shortly: longer when it happens again. */
const INTERRUPTED = [MINUTE_MS, HOUR_MS] as const;

/** The longest that anything waits: beyond it the clock must have jumped. */
export const LONGEST_WAIT_MS = 7 * 24 * HOUR_MS;

/**
 * Wait after the `tries`th failure in a row, ms: doubled each time, a tenth more or less so that hosts that failed
 * together do not come back together, and never shorter than the CA asked for.
 *
 * @param random from 0 to 1
 */
export function waitAfter(code: ErrorCode, tries: number, retryAfterMs: number | null, random: number): number {
  const wait = doubled(WAITS.get(code) ?? OTHERS, tries);
  return Math.min(Math.max(wait * (0.9 + random * 0.2), retryAfterMs ?? 0), LONGEST_WAIT_MS);
}

/** Wait after a try that ended with the process for the `times`th time in a row, ms. */
export const waitAfterInterruption = (times: number): number => doubled(INTERRUPTED, times);

const doubled = ([first, longest]: readonly [number, number], times: number): number =>
  Math.min(first * 2 ** Math.min(times - 1, 30), longest);
