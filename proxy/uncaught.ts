/**
 * Uncaught exceptions. One request must not end the connections of every app on the host, so the process keeps serving.
 * Nobody knows what such an error left half done, so a successor takes over soon (docs/adr/0031).
 */
import type { Logger } from '../protocol/service/logger.ts';

/** At most one error is logged in this time, with the number of errors suppressed before it. */
const LOG_EVERY_MS = 1000;
/** A younger process is not replaced: its successor would likely fail the same way, and each hand-over has a cost. */
const REPLACED_FROM_MS = 600_000;

let count = 0;

/** Number of uncaught exceptions in this process. */
export const uncaughtErrors = (): number => count;

/**
 * Takes effect from here on; an error during start still ends the process.
 * @param replace starts a successor; null: this process cannot have one, as a worker
 */
export function surviveUncaught(log: Logger, replace: (() => Promise<unknown>) | null): void {
  let loggedAt = -Infinity;
  let suppressed = 0;
  let isReplaced = false;
  process.on('uncaughtException', (thrown) => {
    count += 1;
    const now = performance.now();
    if (now - loggedAt < LOG_EVERY_MS) {
      suppressed += 1;
      return;
    }
    log.error({ err: thrown, code: 'ORK_INTERNAL', suppressedBefore: suppressed }, 'nobody caught this; serving on');
    loggedAt = now;
    suppressed = 0;
    if (replace === null || isReplaced || now < REPLACED_FROM_MS) return;
    isReplaced = true;
    replace().catch((failure: unknown) => {
      isReplaced = false; // the next error tries again
      log.error({ err: failure }, 'could not hand over; serving on');
    });
  });
}
