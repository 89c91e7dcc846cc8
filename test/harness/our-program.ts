/** For tests: runs our programs from their sources. What an earlier start has compiled is kept, which halves a start. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { runProgram } from '../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../installer/stack/run-program.ts';
import { ourProgram } from '../../installer/stack/stack.ts';

/** The environment of a program of ours: `env`, and nothing else of the machine's user. */
export const ourEnv = (env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
  ...env,
});

/**
 * Runs a program of ours to its end, whatever its exit code.
 * @param file path below the repository, e.g. `agent/main.ts`
 */
export const runOurs = (file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<ProgramResult> =>
  runProgram([...ourProgram(file), ...args], { env: ourEnv(env) });

/** Starts a program of ours that runs until it is ended. Its errors appear among those of the test. */
export function startOurs(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcessByStdio<null, Readable, null> {
  const [node, path] = ourProgram(file);
  return spawn(node, [path, ...args], { env: ourEnv(env), stdio: ['ignore', 'pipe', 'inherit'] });
}
