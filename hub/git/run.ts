/** Runs a short git command by argv, with a deadline and bounded output. */
import { execFile } from 'node:child_process';

export interface GitResult {
  readonly ok: boolean;
  readonly stdout: string;
  /** git's stderr, with the reason appended when we stopped the command. */
  readonly stderr: string;
  /** Stopped by us, so the result says nothing about the repository. */
  readonly stopped: boolean;
}

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly cwd?: string;
  /** Standard input; empty without it. */
  readonly input?: string;
  /** Stops the command early. */
  readonly signal?: AbortSignal;
}

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Does not throw when git fails, but when git cannot be started. `timeoutMs` ends in SIGKILL. */
export function runGit(argv: readonly string[], options: RunOptions): Promise<GitResult> {
  const { env, timeoutMs: timeout, cwd, input, signal } = options;
  return new Promise((resolve, reject) => {
    const { stdin } = execFile(
      'git',
      argv,
      { env, cwd, timeout, signal, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES, encoding: 'utf8' },
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
    // A command that exits before it has read all its input reports the reason itself.
    stdin?.on('error', () => undefined).end(input);
  });
}
