/** For tests: waits for something that must happen, however slow the machine is. */
import { setTimeout as pause } from 'node:timers/promises';

interface Patience {
  /** How often to look, ms. */
  readonly lookMs?: number;
  /** Far more than a loaded machine needs, ms: only something broken takes this long. */
  readonly neverMs?: number;
}

/** Resolves once the condition holds. @param what is awaited, for the error @throws if it never holds */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what = holds.toString(),
  { lookMs = 5, neverMs = 60_000 }: Patience = {},
): Promise<void> {
  for (const end = performance.now() + neverMs; !(await holds()); await pause(lookMs)) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
  }
}
