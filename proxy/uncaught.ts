/**
 * Errors that nobody caught. One request must not end the connections of every app on the host, so the process serves on; and
 * as nobody knows what such an error left half done, a successor takes over soon (docs/adr/0031).
 */
import type { Logger } from '../protocol/service/logger.ts';

/** Of one second the first is told, and how many more there were. */
const TOLD_EVERY_MS = 1000;
/** A process that is younger serves on: its successor would meet the same, and each hand-over costs something. */
const REPLACED_FROM_MS = 600_000;

let count = 0;

/** How many there were in this process. */
export const uncaughtErrors = (): number => count;

/**
 * From here on. What goes wrong before, while the process starts, ends it as ever.
 * @param replace starts a successor; null: this process has none, as a worker
 */
export function surviveUncaught(log: Logger, replace: (() => Promise<unknown>) | null): void {
  let toldAt = -Infinity;
  let untold = 0;
  let isReplaced = false;
  process.on('uncaughtException', (thrown) => {
    count += 1;
    const now = performance.now();
    if (now - toldAt < TOLD_EVERY_MS) {
      untold += 1;
      return;
    }
    log.error({ err: thrown, code: 'ORK_INTERNAL', suppressedBefore: untold }, 'nobody caught this; serving on');
    toldAt = now;
    untold = 0;
    if (replace === null || isReplaced || now < REPLACED_FROM_MS) return;
    isReplaced = true;
    replace().catch((failure: unknown) => {
      isReplaced = false; // the next error tries it again
      log.error({ err: failure }, 'could not hand over; serving on');
    });
  });
}
