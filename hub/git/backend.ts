/**
 * Serves one request by `git http-backend`, a CGI program (RFC 3875). Streams both ways; ends when the client
 * disconnects.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';

/** Largest header block accepted from the backend, bytes. */
const MAX_HEADER_BYTES = 16_384;
const HEADERS_PASSED_ON = new Set(['content-type', 'cache-control', 'expires', 'pragma']);
/** Time limit of a transfer, ms. */
export const DEADLINE_MS = 60 * 60 * 1000;
/**
 * Steps to end the processes, with the time allowed for each, ms. First the end of input: receive-pack then removes the
 * objects that it has received. On SIGTERM, git 2.39 leaves them behind (measured).
 */
const ENDINGS = [
  [0, 5_000],
  ['SIGTERM', 1_000],
  ['SIGKILL', 1_000],
] as const;
/** Interval between checks whether they have ended, ms. */
const LOOK_MS = 20;

type Watch = (chunk: Buffer) => boolean;

interface BackendOptions {
  /** The backend's whole environment, CGI variables included. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * "name=value", overrides git's config files. Passed as arguments: git before 2.31 (Debian 11) ignores
   * GIT_CONFIG_COUNT.
   */
  readonly config?: readonly string[];
  /** Called with each chunk of the decompressed body; false cuts the connection. */
  readonly watch?: Watch;
}

/** Resolves once the backend has ended. Answers 502 when the backend ends without an answer or cannot be started. */
export async function serveByBackend(
  request: IncomingMessage,
  response: ServerResponse,
  { env, config = [], watch = () => true }: BackendOptions,
): Promise<void> {
  // In its own process group, so that receive-pack and index-pack end with it.
  const child: ChildProcess = spawn('git', [...config.flatMap((line) => ['-c', line]), 'http-backend'], {
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // A failed spawn is answered below as an early end. Out of file descriptors, the child has no streams, nor a close.
  const ended = new Promise<void>((resolve) => child.once('close', resolve).once('error', resolve));
  child.once('error', () => child.stdout?.destroy());
  const deadline = setTimeout(() => {
    child.stdout?.destroy();
    response.destroy();
  }, DEADLINE_MS);
  const stop = feed(request, child, watch);
  try {
    const { stdout } = child;
    if (!stdout) throw new Error('the backend was not started');
    const { status, headers, rest } = await readHead(stdout);
    response.writeHead(status, headers);
    response.write(rest);
    stdout.pipe(response);
    await finished(response);
  } catch {
    // The client disconnected or the backend died: a started response cannot be repaired, and nobody waits for more.
    if (response.headersSent) response.destroy();
    else response.writeHead(502, { 'content-type': 'text/plain' }).end('The git backend gave no answer.\n');
    await endGroup(child);
  } finally {
    clearTimeout(deadline);
    stop();
    await ended;
  }
}

/**
 * Streams the decompressed body to the backend, so that its input limits apply to the bytes that it may keep, however
 * well they were compressed. Returns a function that stops the stream.
 */
function feed(request: IncomingMessage, { stdin, stdout }: ChildProcess, watch: Watch): () => void {
  if (!stdin) return () => undefined;
  const unpacking = request.headers['content-encoding'] === 'gzip' ? createGunzip() : undefined;
  const body = unpacking === undefined ? request : request.pipe(unpacking);
  const look = (chunk: Buffer): void => {
    if (watch(chunk)) return;
    stop();
    stdout?.destroy();
    request.destroy();
  };
  const stop = (): void => {
    body.off('data', look).unpipe(stdin);
    request.unpipe().resume();
    unpacking?.destroy();
  };
  body.on('data', look).pipe(stdin);
  unpacking?.on('error', () => stdin.end());
  // The backend stopped reading (pack too large, refused). Drain the rest, so that the client sees the answer.
  stdin.on('error', stop);
  return stop;
}

async function readHead(stdout: Readable): Promise<{ status: number; headers: Record<string, string>; rest: Buffer }> {
  let head = Buffer.alloc(0);
  while (head.length <= MAX_HEADER_BYTES) {
    const end = /\r?\n\r?\n/.exec(head.toString('latin1'));
    if (end !== null) {
      return { ...parseHead(head.toString('latin1', 0, end.index)), rest: head.subarray(end.index + end[0].length) };
    }
    head = Buffer.concat([head, await nextChunk(stdout)]);
  }
  throw new Error('the backend answered with endless headers');
}

/** RFC 3875 section 6.3: `Status` is the response's code, 200 without it. */
function parseHead(text: string): { status: number; headers: Record<string, string> } {
  const fields = text.split(/\r?\n/).map((line) => /^([A-Za-z-]+):\s*(.*)$/.exec(line)?.slice(1) ?? []);
  const pairs = fields.map(([name = '', value = '']) => [name.toLowerCase(), value] as const);
  const status = Number.parseInt(pairs.find(([name]) => name === 'status')?.[1] ?? '200', 10);
  return { status, headers: Object.fromEntries(pairs.filter(([name]) => HEADERS_PASSED_ON.has(name))) };
}

function nextChunk(stdout: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunk = stdout.read() as Buffer | null;
    if (chunk !== null) return resolve(chunk);
    const stop = (): void => {
      stdout.off('readable', again).off('end', failed).off('close', failed);
    };
    const again = (): void => {
      const next = stdout.read() as Buffer | null;
      if (next === null) return;
      stop();
      resolve(next);
    };
    const failed = (): void => {
      stop();
      reject(new Error('the backend ended without an answer'));
    };
    stdout.on('readable', again).on('end', failed).on('close', failed);
    if (stdout.readableEnded || stdout.destroyed) failed();
  });
}

/** Settles when the whole group has ended: only then may others measure or write its files. */
async function endGroup({ pid, stdin, stdout }: ChildProcess): Promise<void> {
  if (pid === undefined) return;
  stdin?.destroy();
  // Drain stdout: a receive-pack that nobody reads dies of SIGPIPE before it has cleaned up.
  stdout?.unpipe().resume();
  for (const [signal, ms] of ENDINGS) {
    const until = performance.now() + ms;
    let isThere = signalGroup(pid, signal);
    while (isThere && performance.now() < until) {
      await sleep(LOOK_MS);
      isThere = signalGroup(pid, 0);
    }
    if (!isThere) return;
  }
}

/** False when the group has ended. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
