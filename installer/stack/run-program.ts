/** Runs one program to its end, by argv, with its output in memory (bounded). */
import { spawn } from 'node:child_process';
import { OrkestrError } from '../../protocol/errors.ts';

/** Most output kept per stream, characters; the rest is read and discarded. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Written to its stdin: for secrets, which do not belong in argv. Absent: nothing. */
  readonly input?: string;
  /** Sends SIGKILL after this many ms. */
  readonly timeoutMs?: number;
  /** Sends SIGTERM when aborted. */
  readonly signal?: AbortSignal;
  /** Receives each chunk of stderr as it arrives: our programs report their progress there. */
  readonly onProgress?: (text: string) => void;
}

/** Resolves with exit code and output, whatever they are. Rejects only if the program cannot be run. */
export function runProgram(argv: readonly [string, ...string[]], options: ProgramOptions = {}): Promise<ProgramResult> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
    });
    child.stdin.on('error', () => undefined); // it ended without reading: its exit code counts
    child.stdin.end(options.input ?? '');
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] = (output[name] + text).slice(0, MAX_OUTPUT_BYTES);
        if (name === 'stderr') options.onProgress?.(text);
      });
    }
    const cancel = (): void => void child.kill('SIGTERM');
    options.signal?.addEventListener('abort', cancel, { once: true });
    child.once('error', reject);
    child.once('close', (code) => {
      options.signal?.removeEventListener('abort', cancel);
      resolve({ code, ...output });
    });
  });
}

/**
 * Returns the output of a program that must succeed.
 * @throws OrkestrError ORK_PREPARE_FAILED with the end of its output. Its arguments are not shown: some are secret.
 */
export async function mustRun(
  what: string,
  argv: readonly [string, ...string[]],
  options: ProgramOptions = {},
): Promise<string> {
  const result = await runProgram(argv, options);
  if (result.code === 0) return result.stdout;
  throw new OrkestrError('ORK_PREPARE_FAILED', `${what} failed (exit code ${result.code ?? 'none: killed'}).`, {
    evidence: `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-20),
  });
}
