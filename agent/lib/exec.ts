/** Runs a program by argv: no shell, a time limit, bounded output, and the child is killed when the caller aborts. */
import { spawn, type ChildProcess } from 'node:child_process';

interface ExecOptions {
  /** Kill the program (SIGKILL) after this many ms. */
  readonly timeoutMs: number;
  readonly cwd?: string;
  /** The whole environment of the child; absent: this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** Text for its standard input; absent: none. */
  readonly input?: string;
  /** Keep at most this many bytes of each output stream: its end, where errors are. Default 64 KiB. */
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal;
  /** Called with every chunk of either stream as it arrives. */
  readonly onOutput?: (chunk: Buffer) => void;
}

export interface ExecResult {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Runs a program. Tests replace it with a scripted one. */
export type Exec = (program: string, args: readonly string[], options: ExecOptions) => Promise<ExecResult>;

/** A program started but failed. */
export class ExecError extends Error {
  readonly result: ExecResult;

  constructor(program: string, args: readonly string[], result: ExecResult) {
    const how = result.timedOut ? 'timed out' : `exit code ${result.exitCode ?? 'none (signal)'}`;
    const last = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-3).join(' | ');
    super(`${program} ${args.slice(0, 6).join(' ')}: ${how}${last === '' ? '' : `: ${last}`}`);
    this.name = 'ExecError';
    this.result = result;
  }
}

const DEFAULT_OUTPUT_BYTES = 65_536;

/** Runs to the end whatever the exit code. Rejects only if the program cannot be started or `signal` aborts. */
export const exec: Exec = (program, args, options) =>
  new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    // When file descriptors run out, the child has no streams, and an unhandled 'error' event would end this process.
    const child: ChildProcess = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: 'pipe',
      shell: false,
    });
    const limit = options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES;
    const stdout = tailBuffer(limit);
    const stderr = tailBuffer(limit);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    const abort = (): void => void child.kill('SIGKILL');
    options.signal?.addEventListener('abort', abort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    };

    child.stdout?.on('data', (chunk: Buffer) => {
      stdout.push(chunk);
      options.onOutput?.(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr.push(chunk);
      options.onOutput?.(chunk);
    });
    // A program that ends without reading its input closes the pipe (EPIPE): its exit code is what counts.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.on('close', (exitCode) => {
      settle();
      if (options.signal?.aborted === true) reject(options.signal.reason as Error);
      else resolve({ exitCode, stdout: stdout.text(), stderr: stderr.text(), timedOut });
    });
  });

/** Like {@link exec}, but any exit code other than 0 throws {@link ExecError}. */
export async function run(
  program: string,
  args: readonly string[],
  options: ExecOptions,
  by: Exec = exec,
): Promise<ExecResult> {
  const result = await by(program, args, options);
  if (result.exitCode !== 0) throw new ExecError(program, args, result);
  return result;
}

/** Keeps the last `limit` bytes that were pushed. */
function tailBuffer(limit: number): { push(chunk: Buffer): void; text(): string } {
  let chunks: Buffer[] = [];
  let bytes = 0;
  return {
    push(chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > 2 * limit) {
        chunks = [Buffer.concat(chunks).subarray(-limit)];
        bytes = limit;
      }
    },
    text: () => Buffer.concat(chunks).subarray(-limit).toString('utf8'),
  };
}
