/** For tests: waits for what must happen, however slow the machine is. */
import { setTimeout as pause } from 'node:timers/promises';

/** Far beyond what a loaded machine needs, ms: only what is broken takes as long. */
const NEVER_MS = 60_000;
const LOOK_MS = 5;

/** Resolves once it holds. @param what is waited for, for the error @throws when it never does */
export async function until(holds: () => boolean | Promise<boolean>, what = holds.toString()): Promise<void> {
  for (const end = performance.now() + NEVER_MS; !(await holds()); await pause(LOOK_MS)) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
  }
}
