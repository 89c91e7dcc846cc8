/** Runs a command inside a container. */
import type { Exec, ExecCreateOptions } from 'dockerode';
import type { Duplex } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import { type Engine, statusOf } from '../lib/engine.ts';
import { demultiplex, readBounded } from './streams.ts';

const MAX_OUTPUT_BYTES = 16_384;
/** Exit code of a command that timed out, the same as that of timeout(1). */
const TIMED_OUT = 124;

/**
 * Exit code and truncated output of `argv`. A command that is not done after `timeoutMs` is killed; its exit code is
 * 124.
 * @throws OrkestrError ORK_APP_EXITED if the container does not run
 */
export async function execIn(
  engine: Engine,
  name: string,
  argv: readonly string[],
  timeoutMs: number,
): Promise<{ exitCode: number; output: string }> {
  const exec = await prepareExec(engine, name, { Cmd: [...argv], AttachStdout: true, AttachStderr: true });
  const stream = await startExec(engine, name, exec, { stdin: false });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    stream.destroy();
  }, timeoutMs);
  const raw = await readBounded(stream as AsyncIterable<Buffer>, MAX_OUTPUT_BYTES).catch((error: unknown) => {
    if (timedOut) return Buffer.alloc(0); // we destroyed the stream ourselves
    throw error;
  });
  clearTimeout(timer);
  const { ExitCode: exitCode, Running: running, Pid: pid } = await inspectExec(engine, name, exec);
  if (timedOut) {
    if (running && pid > 0) signalPid(pid, 'SIGKILL');
    return { exitCode: TIMED_OUT, output: `no answer within ${timeoutMs} ms` };
  }
  return { exitCode: exitCode ?? TIMED_OUT, output: demultiplex(raw).toString('utf8') };
}

/** @throws OrkestrError ORK_APP_EXITED if the container does not run */
export function prepareExec(engine: Engine, name: string, options: ExecCreateOptions): Promise<Exec> {
  return engine
    .call(`prepare a command in ${name}`, (docker, abortSignal) =>
      docker.getContainer(name).exec({ ...options, abortSignal }),
    )
    .catch((cause: unknown) => {
      if (statusOf(cause) !== 404 && statusOf(cause) !== 409) throw cause;
      throw new OrkestrError('ORK_APP_EXITED', `The container ${name} is not running, so no command can run in it.`, {
        cause,
      });
    });
}

/** Starts a prepared command, and returns the connection to its streams. */
export const startExec = (
  engine: Engine,
  name: string,
  exec: Exec,
  options: { readonly stdin: boolean; readonly Tty?: boolean },
): Promise<Duplex> =>
  engine.call(`run a command in ${name}`, async (_docker, abortSignal) => {
    const started: Duplex = await exec.start({ hijack: true, ...options });
    // The engine may respond after the caller has given up: nobody owns this connection then.
    if (abortSignal.aborted) started.on('error', () => undefined).destroy();
    return started;
  });

/** The state of a command. `Pid` is on the host, 0 before it has started. */
export function inspectExec(
  engine: Engine,
  name: string,
  exec: Exec,
): Promise<{ ExitCode: number | null; Running: boolean; Pid: number }> {
  return engine.call(`ask after a command in ${name}`, (_docker, abortSignal) => exec.inspect({ abortSignal }));
}

/** The Engine API has no signals for commands, but returns their process ids on the host. */
export function signalPid(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ended between the two calls
  }
}
