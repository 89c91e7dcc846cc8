/** What the start has used and nobody needs any more is given back: some 5 MB of a process that serves little. */
import { performance } from 'node:perf_hooks';

/** How often it is looked whether this process rests, ms. */
const LOOK_MS = 500;
/** Of the time since the last look. A collection stops the process for some 40 ms, which a busy one cannot spare. */
const RESTING_SHARE = 0.1;

/**
 * Compacts the heap in the first half second in which little happens, once. V8 does that by itself only when a heap has
 * grown. Without node's `--expose-gc` nothing is done.
 */
export function tidyAtFirstRest(): void {
  const { gc } = globalThis;
  if (!gc) return;
  let before = performance.eventLoopUtilization();
  const looks = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization > RESTING_SHARE) return;
    clearInterval(looks);
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, LOOK_MS).unref();
}
