/** For tests: waits for something that must happen, however slow the machine is. */
import { setTimeout as pause } from 'node:timers/promises';

/** Far more than a loaded machine needs, ms: only something broken takes this long. */
const NEVER_MS = 60_000;
const LOOK_MS = 5;

/** Resolves once the condition holds. @param what is awaited, for the error @throws if it never holds */
export async function until(holds: () => boolean | Promise<boolean>, what = holds.toString()): Promise<void> {
  for (const end = performance.now() + NEVER_MS; !(await holds()); await pause(LOOK_MS)) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
  }
}
