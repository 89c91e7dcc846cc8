/** Progress for people, on stderr: stdout is reserved for the figures. */
import { OrkestrError } from '../../../protocol/errors.ts';

export type Log = (line: string) => void;

export const toStderr: Log = (line) => void process.stderr.write(`${line}\n`);

/** The error, with the last output of the program that failed. */
export function wordsOf(error: unknown): string {
  const evidence = error instanceof OrkestrError ? (error.evidence ?? []) : [];
  return [error instanceof Error ? error.message : String(error), ...evidence].join('\n  | ');
}
