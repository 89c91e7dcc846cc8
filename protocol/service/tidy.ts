/** Frees unused memory: some 5 MB of a process with little traffic after its start, and 3 MB in each later hour. */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** How often to check whether the process is idle, ms. */
const LOOK_MS = 500;
/** How often to check for work after a compaction, ms: checks are work too, and a host may idle for weeks. */
const WORK_LOOK_MS = 5000;
/** Active time between two checks that counts as work, ms. */
const WORK_MS = 50;
/** Largest utilisation that counts as idle. A collection stops the process for some 40 ms, too long for a busy one. */
const RESTING_SHARE = 0.1;
/** How many compactions: after the start itself, and after the flips and the first visitors that follow. */
const RESTS = 3;
/** Growth that triggers a compaction. A mostly idle process takes minutes for it; V8 would allow several times that. */
const GROWN_BYTES = 2 * 1024 * 1024;
const GROWN_LOOK_MS = 600_000;

/**
 * Compacts the heap in a half second with little activity: in the first one, and again after later work. V8 does this
 * by itself only when a heap has grown. Does nothing without node's `--expose-gc`.
 * @param waits intervals between checks, ms: before a compaction, and after one
 */
export function tidyAtFirstRest({ lookMs = LOOK_MS, workLookMs = WORK_LOOK_MS } = {}): void {
  const { gc } = globalThis;
  if (!gc) return;
  let before = performance.eventLoopUtilization();
  let [left, isTidy] = [RESTS, false];
  const look = (): void => {
    const { active, utilization } = performance.eventLoopUtilization(before);
    if (isTidy) isTidy = active < WORK_MS;
    else if (utilization <= RESTING_SHARE) {
      compact(gc);
      left -= 1;
      isTidy = true;
    }
    before = performance.eventLoopUtilization();
    if (left > 0) lookLater();
  };
  const lookLater = (): void => void setTimeout(look, isTidy ? workLookMs : lookMs).unref();
  lookLater();
}

/**
 * Compacts the heap whenever it has grown by {@link GROWN_BYTES}, for as long as the process runs. For a process whose
 * clients can wait some 40 ms. Does nothing without node's `--expose-gc`.
 *
 * After a compaction that left more than the one before, the next one does not wait for growth: some of it may have
 * belonged to work in progress.
 * @param everyMs interval between checks, ms
 */
export function tidyWhenGrown(everyMs = GROWN_LOOK_MS): void {
  const { gc } = globalThis;
  if (!gc) return;
  let [tidyBytes, hasMore] = [0, false];
  const hasGrown = (bytes: number): boolean => bytes - tidyBytes >= GROWN_BYTES;
  const look = (): void => {
    if (!hasMore && !hasGrown(heldBytes())) return;
    compact(gc);
    const left = heldBytes();
    hasMore = hasGrown(left);
    tidyBytes = left;
  };
  setInterval(look, everyMs).unref();
}

/** The heap, and the buffers outside of it that only a collection frees. */
function heldBytes(): number {
  const { total_physical_size: heap, external_memory: buffers } = getHeapStatistics();
  return heap + buffers;
}

/**
 * Also frees the code of the start, even if V8 keeps rarely run code while the process works (`--no-flush-bytecode`).
 * Compacting pages that V8 would leave because they are full enough frees another 0.4 MB.
 */
function compact(gc: NonNullable<typeof globalThis.gc>): void {
  setFlagsFromString('--flush-bytecode');
  setFlagsFromString('--compact-on-every-full-gc');
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  setFlagsFromString('--no-compact-on-every-full-gc');
  if (process.execArgv.includes('--no-flush-bytecode')) setFlagsFromString('--no-flush-bytecode');
}
