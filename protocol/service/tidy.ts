/** What nobody needs any more is given back: some 5 MB of a process that serves little, after its start, and 3 in each hour after it. */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** How often it is looked whether this process rests, ms. */
const LOOK_MS = 500;
/** How often whether it has worked since it was tidied, ms: looking is work, too, and a host may rest for weeks. */
const WORK_LOOK_MS = 5000;
/** As much as this in that time is work, ms. */
const WORK_MS = 50;
/** Of the time since the last look. A collection stops the process for some 40 ms, which a busy one cannot spare. */
const RESTING_SHARE = 0.1;
/** After the start itself, and after the flips and the first visitors that follow it. */
const RESTS = 3;
/** What a process that mostly waits gathers in minutes; V8 would let it come to several times as much. */
const GROWN_BYTES = 2 * 1024 * 1024;
const GROWN_LOOK_MS = 600_000;

/**
 * Compacts the heap in a half second in which little happens: the first, and the next ones that follow on work. V8 does
 * that by itself only when a heap has grown. Without node's `--expose-gc` nothing is done.
 */
export function tidyAtFirstRest(): void {
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
  const lookLater = (): void => void setTimeout(look, isTidy ? WORK_LOOK_MS : LOOK_MS).unref();
  lookLater();
}

/**
 * Compacts the heap whenever as much has gathered, for as long as the process runs: for one that nobody waits for some 40 ms.
 * Without node's `--expose-gc` nothing is done.
 * @param everyMs how often it is looked
 */
export function tidyWhenGrown(everyMs = GROWN_LOOK_MS): void {
  const { gc } = globalThis;
  if (!gc) return;
  let tidyBytes = 0;
  const look = (): void => {
    if (getHeapStatistics().total_physical_size - tidyBytes < GROWN_BYTES) return;
    compact(gc);
    tidyBytes = getHeapStatistics().total_physical_size;
  };
  setInterval(look, everyMs).unref();
}

/**
 * Code of the start goes too, also where code that is seldom run is kept while the process works (`--no-flush-bytecode`).
 * Pages that V8 finds full enough to be left as they are hold 0.4 MB.
 */
function compact(gc: NonNullable<typeof globalThis.gc>): void {
  setFlagsFromString('--flush-bytecode');
  setFlagsFromString('--compact-on-every-full-gc');
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  setFlagsFromString('--no-compact-on-every-full-gc');
  if (process.execArgv.includes('--no-flush-bytecode')) setFlagsFromString('--no-flush-bytecode');
}
