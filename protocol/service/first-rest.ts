/** What the start has used and nobody needs any more is given back: some 5 MB of a process that serves little. */
import { performance } from 'node:perf_hooks';

/** How often it is looked whether this process rests, ms. */
const LOOK_MS = 500;
/** Of the time since the last look. A collection stops the process for some 40 ms, which a busy one cannot spare. */
const RESTING_SHARE = 0.1;
/** After the start itself, and after the flips and the first visitors that follow it. */
const RESTS = 3;

/**
 * Compacts the heap in a half second in which little happens: the first, and the next ones that follow on work. V8 does
 * that by itself only when a heap has grown. Without node's `--expose-gc` nothing is done.
 */
export function tidyAtFirstRest(): void {
  const { gc } = globalThis;
  if (!gc) return;
  let before = performance.eventLoopUtilization();
  let [left, isTidy] = [RESTS, false];
  const looks = setInterval(() => {
    const isResting = performance.eventLoopUtilization(before).utilization <= RESTING_SHARE;
    if (isResting && !isTidy) {
      gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      left -= 1;
      if (left === 0) clearInterval(looks);
    }
    isTidy = isResting;
    before = performance.eventLoopUtilization();
  }, LOOK_MS).unref();
}
