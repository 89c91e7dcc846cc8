/** Runs a short git command by argv, with a deadline and bounded output. */
import { execFile } from 'node:child_process';

export interface GitResult {
  readonly ok: boolean;
  readonly stdout: string;
  /** What git said; with the reason when it was stopped by us. */
  readonly stderr: string;
  /** Ended by us, so it says nothing of what was asked. */
  readonly stopped: boolean;
}

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly cwd?: string;
  /** What it reads; nothing without it. */
  readonly input?: string;
  /** Ends it before its time. */
  readonly signal?: AbortSignal;
}

const MOST_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Never throws for what git answers; a git that cannot be started is an error. `timeoutMs` ends in SIGKILL. */
export function runGit(argv: readonly string[], options: RunOptions): Promise<GitResult> {
  const { env, timeoutMs: timeout, cwd, input, signal } = options;
  return new Promise((resolve, reject) => {
    const { stdin } = execFile(
      'git',
      argv,
      { env, cwd, timeout, signal, killSignal: 'SIGKILL', maxBuffer: MOST_OUTPUT_BYTES, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ ok: true, stdout, stderr, stopped: false });
        if (error.syscall?.startsWith('spawn')) return reject(error);
        const stopped = error.killed === true || signal?.aborted === true;
        resolve({
          ok: false,
          stdout,
          stderr: stopped ? `${stderr}\ntoo slow: stopped after ${timeout} ms` : stderr,
          stopped,
        });
      },
    );
    // One that ends without having read all of it has said why.
    stdin?.on('error', () => undefined).end(input);
  });
}
