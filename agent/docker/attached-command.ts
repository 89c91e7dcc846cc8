/** Runs a command in a container with the streams of this process, as ssh does on another machine. */
import { once } from 'node:events';
import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exec } from 'dockerode';
import { type Engine, orNull } from '../lib/engine.ts';
import { KILLED } from '../lib/exit-code.ts';
import { inspectExec, prepareExec, signalPid, startExec } from './exec-in.ts';
import { inspectContainer } from './inspect.ts';
import { framesOf } from './streams.ts';

/** Keys that detach from a terminal; the engine's default would hold back each Ctrl-P. Nobody types these. */
const DETACH_KEYS = 'ctrl-^,ctrl-@,ctrl-^,ctrl-@';
/** The engine may report the end of a command some moments after that of its output; ms. */
const END_PATIENCE_MS = 5000;
const END_PAUSE_MS = 50;
/** How long a container may take to stop once its commands have been killed, ms. */
const STOP_PATIENCE_MS = 2000;
/** Attempts to set the size of a terminal, or to send a signal, while the engine is still starting the command. */
const START_ATTEMPTS = 10;

export interface CommandStreams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable;
}

interface CommandEnd {
  /** That of the command, 0 to 255. */
  readonly exitCode: number;
  /** What the user should know besides; null if nothing. */
  readonly remark: string | null;
}

export interface AttachedCommand {
  /** Settles when the command has ended and all its output is written. */
  readonly end: Promise<CommandEnd>;
  /** Sends a signal to the command. After the first, each one is SIGKILL. */
  signal(name: NodeJS.Signals): Promise<void>;
}

/**
 * Starts `argv` as the container's user, with its environment and working directory, and connects it to the streams. It
 * gets a terminal if both stdin and stdout are one: output that goes to a file stays as it is.
 * @throws OrkestrError ORK_APP_EXITED if the container does not run
 */
export async function startAttached(
  engine: Engine,
  container: string,
  argv: readonly string[],
  streams: CommandStreams,
): Promise<AttachedCommand> {
  const isTerminal = streams.stdin.isTTY === true && streams.stdout.isTTY === true;
  const exec = await prepareExec(engine, container, {
    Cmd: [...argv],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: isTerminal,
    ...(isTerminal && { DetachKeys: DETACH_KEYS }),
  });
  const stream = await startExec(engine, container, exec, { stdin: true, Tty: isTerminal });
  const send = (name: NodeJS.Signals): Promise<boolean> => sendSignal(engine, container, exec, name);
  let wasAsked = false;
  const signal = async (name: NodeJS.Signals): Promise<void> => {
    if (await send(wasAsked ? 'SIGKILL' : name)) wasAsked = true;
  };
  const release = isTerminal ? useTerminal(engine, exec, streams) : () => undefined;
  // If it cannot be sent, the command goes on, and its output is dropped.
  const hangUp = (): void => void send('SIGHUP').catch(() => undefined);
  const end = copy(stream, streams, isTerminal, hangUp)
    .finally(() => {
      release();
      // Else a terminal or an open pipe would keep this process alive.
      streams.stdin.destroy();
    })
    .then((lost) => endOf(engine, container, exec, lost));
  return { end, signal };
}

/** Waits a moment for a command that is only just starting. Returns whether there was a process to send it to. */
async function sendSignal(engine: Engine, container: string, exec: Exec, name: NodeJS.Signals): Promise<boolean> {
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
    const { Running: isRunning, Pid: pid, ExitCode: exitCode } = await inspectExec(engine, container, exec);
    if (isRunning && pid > 0) {
      signalPid(pid, name);
      return true;
    }
    if (exitCode !== null) return false;
    await sleep(END_PAUSE_MS);
  }
  return false;
}

/** Passes keys on as they are typed, and the size of the window. Returns what restores the terminal. */
function useTerminal(engine: Engine, exec: Exec, { stdin, stdout }: CommandStreams): () => void {
  const resize = (): void => void setSize(engine, exec, stdout);
  stdin.setRawMode?.(true);
  stdout.on('resize', resize);
  resize();
  return () => {
    stdout.off('resize', resize);
    stdin.setRawMode?.(false);
  };
}

async function setSize(engine: Engine, exec: Exec, { columns, rows }: CommandStreams['stdout']): Promise<void> {
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
    try {
      await engine.call('set the size of a terminal', (_docker, abortSignal) =>
        exec.resize({ w: columns, h: rows, abortSignal }),
      );
      return;
    } catch {
      // Not started yet, or over. A terminal of the wrong size is still usable.
      await sleep(END_PAUSE_MS);
    }
  }
}

/** Copies until the command has closed its output. Returns the error that broke the connection, or null. */
async function copy(
  stream: Duplex,
  { stdin, stdout, stderr }: CommandStreams,
  isTerminal: boolean,
  hangUp: () => void,
): Promise<Error | null> {
  let isRead = true;
  const stopReading = (): void => {
    if (isRead) hangUp(); // like a program whose reader has gone
    isRead = false;
  };
  const put = async (sink: Writable, bytes: Buffer): Promise<void> => {
    // If it fails, the listener for errors below is called as well.
    if (isRead && !sink.write(bytes)) await once(sink, 'drain').catch(() => undefined);
  };
  for (const sink of [stdout, stderr]) sink.on('error', stopReading);
  stdin.on('error', () => stream.end()); // a terminal that is gone
  stdin.pipe(stream);
  try {
    if (isTerminal) for await (const chunk of stream as AsyncIterable<Buffer>) await put(stdout, chunk);
    else {
      for await (const frames of framesOf(stream)) {
        for (const { kind, payload } of frames) await put(kind === 1 ? stdout : stderr, payload);
      }
    }
    return null;
  } catch (error) {
    return error as Error;
  } finally {
    stdin.unpipe(stream);
    stream.destroy();
  }
}

/** @throws OrkestrError ORK_ENGINE_UNREACHABLE if it cannot be learned; the connection's error if the command still runs */
async function endOf(engine: Engine, container: string, exec: Exec, lost: Error | null): Promise<CommandEnd> {
  const exitCode = await exitCodeOf(engine, container, exec);
  if (exitCode === undefined) throw lost ?? new Error(`The connection to a command in ${container} ended before it.`);
  if (exitCode === null || (exitCode !== 0 && (await hasStopped(engine, container, exitCode)))) {
    return { exitCode: exitCode ?? KILLED, remark: 'the container was stopped while the command ran' };
  }
  // It ended while there was still input for it, and the engine then closes the connection in both directions.
  const remark = lost === null ? null : 'the command ended before its input; the end of its output may be missing';
  return { exitCode, remark };
}

/** Null: the engine no longer knows the command, because its container is removed. Undefined: it still runs. */
async function exitCodeOf(engine: Engine, container: string, exec: Exec): Promise<number | null | undefined> {
  for (let waited = 0; ; waited += END_PAUSE_MS) {
    const state = await orNull(inspectExec(engine, container, exec));
    if (state === null) return null;
    if (!state.Running && state.ExitCode !== null) return state.ExitCode;
    if (waited >= END_PATIENCE_MS) return undefined;
    await sleep(END_PAUSE_MS);
  }
}

/** The commands of a container that stops are killed, some moments before the engine reports the end of the container. */
async function hasStopped(engine: Engine, container: string, exitCode: number): Promise<boolean> {
  const patience = exitCode === KILLED ? STOP_PATIENCE_MS : 0;
  for (let waited = 0; await isRunning(engine, container); waited += END_PAUSE_MS) {
    if (waited >= patience) return false;
    await sleep(END_PAUSE_MS);
  }
  return true;
}

async function isRunning(engine: Engine, container: string): Promise<boolean> {
  const state = await inspectContainer(engine, container);
  return state?.State.Running === true;
}
