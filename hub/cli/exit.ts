/** Exit codes of the CLI. */
import { OrkestrError } from '../../protocol/errors.ts';

export const EXIT = { ok: 0, failed: 1, usage: 2, stopped: 3, unreachable: 4, interrupted: 130 } as const;

/** Where the running command stores its exit code. */
export interface Outcome {
  exitCode: number;
}

/** Ctrl-C at a prompt: exits without a message. */
export class Interrupted extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (!(error instanceof OrkestrError)) return EXIT.failed;
  if (error.code === 'ORK_INVALID' || error.code === 'ORK_CONFIG') return EXIT.usage;
  return error.code === 'ORK_HUB_UNREACHABLE' ? EXIT.unreachable : EXIT.failed;
}
