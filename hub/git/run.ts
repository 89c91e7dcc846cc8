/** Runs a short git command by argv, with a deadline and bounded output. */
import { execFile } from 'node:child_process';

export interface GitResult {
  readonly ok: boolean;
  readonly stdout: string;
  /** What git said; with the reason when it was stopped by us. */
  readonly stderr: string;
}

const MOST_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Never throws for what git answers; a git that cannot be started is an error. `timeoutMs` ends in SIGKILL. */
export function runGit(
  argv: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly timeoutMs: number; readonly cwd?: string },
): Promise<GitResult> {
  const { env, timeoutMs: timeout, cwd } = options;
  return new Promise((resolve, reject) => {
    execFile(
      'git',
      argv,
      { env, cwd, timeout, killSignal: 'SIGKILL', maxBuffer: MOST_OUTPUT_BYTES, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ ok: true, stdout, stderr });
        if (error.syscall?.startsWith('spawn')) return reject(error);
        const stopped = error.killed === true ? `\ntoo slow: stopped after ${timeout} ms` : '';
        resolve({ ok: false, stdout, stderr: stderr + stopped });
      },
    );
  });
}
