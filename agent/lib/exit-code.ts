/** Exit codes of programs, by the convention of shells and Docker: 128 + n after signal n. */
import { constants } from 'node:os';

/** After SIGKILL. */
export const KILLED = 128 + constants.signals.SIGKILL;

/** The name of the signal behind an exit code of 128 + n; null for a plain exit. */
export function signalName(exitCode: number): string | null {
  const found = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return found?.[0] ?? null;
}

/** How a program ended, for a sentence about it: `exited with code 1`. @param exitCode null: nobody knows it */
export function describeExit(exitCode: number | null): string {
  const signal = exitCode === null ? null : signalName(exitCode);
  return signal === null
    ? `exited with code ${exitCode ?? 'unknown'}`
    : `was ended by signal ${signal} (exit code ${exitCode})`;
}
