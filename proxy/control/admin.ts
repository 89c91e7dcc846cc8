/** The admin API on a unix socket (mode 0600). protocol/proxy-admin.ts defines the protocol. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { z } from 'zod';
import manifest from '../../package.json' with { type: 'json' };
import { OrkestrError, toErrorReport, toProblem } from '../../protocol/errors.ts';
import { Uuid } from '../../protocol/ids.ts';
import {
  CanaryRequest,
  DrainRequest,
  EdgeRequest,
  FlipBackRequest,
  FlipRequest,
  HandOverRequest,
  HoldRequest,
  MAX_ADMIN_BODY_BYTES,
  ResumeRequest,
  RetryRequest,
  WatchRequest,
} from '../../protocol/proxy-admin.ts';
import type {
  CertificateList,
  DrainAnswer,
  HandOverAnswer,
  HealthAnswer,
  RetryAnswer,
} from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { METRICS_TYPE, renderMetrics } from '../observe/snapshot.ts';
import type { Planes } from '../planes/planes.ts';
import type { Table } from './table.ts';

/** Connections at once. Drains and watches hold theirs for as long as they run. */
const MAX_CONNECTIONS = 256;

/** How long clients have to read their last responses when the server closes, ms. */
const LAST_ANSWERS_MS = 250;

/** What the calls act on. */
export interface Control {
  readonly table: Table;
  readonly planes: Planes;
  drain(request: DrainRequest, given: AbortSignal): Promise<DrainAnswer>;
  certificates(): CertificateList;
  retryCertificate(request: RetryRequest): Promise<RetryAnswer>;
  handOver(request: HandOverRequest): Promise<HandOverAnswer>;
}

/** `replace`: another proxy listens on that path and expects to be replaced. */
type AdminSocket =
  | { readonly path: string; readonly how: 'new' | 'replace' }
  /** Inherited: only systemd knows its path. */
  | { readonly fd: number };

export interface Admin {
  /** Listens on its path again if another process has taken it and died. */
  reclaim(): Promise<void>;
  /** Takes no new calls; waiting ones go on for as long as this process lives. */
  yield(): void;
  close(): Promise<void>;
}

/**
 * @param where a path that nobody listens on is taken over: a killed proxy leaves its socket behind
 * @throws OrkestrError ORK_ALREADY_RUNNING when another proxy listens on it
 */
export async function serveAdmin(where: AdminSocket, control: Control, log: Logger): Promise<Admin> {
  if ('path' in where) await prepare(where);
  let server = await listen(where, control, log);
  let own = await inodeOf(where);
  const isOurs = async (): Promise<boolean> => !('path' in where) || (await inodeOf(where)) === own;
  return {
    reclaim: async () => {
      if (await isOurs()) return;
      const before = server;
      server = await listen(where, control, log);
      own = await inodeOf(where);
      before.close();
    },
    yield: () => void server.close(),
    close: async () => {
      if ('path' in where && (await isOurs())) await rm(where.path, { force: true });
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Responses may still be on their way. Nothing is in flight any more, so drains and the hand-over have theirs.
      const cut = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}

async function prepare({ path, how }: Extract<AdminSocket, { path: string }>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (how === 'replace') return;
  if (await isAnswered(path)) throw new OrkestrError('ORK_ALREADY_RUNNING', `Another proxy listens on ${path}.`);
}

async function inodeOf(where: AdminSocket): Promise<number | null> {
  if (!('path' in where)) return null;
  try {
    return (await stat(where.path)).ino;
  } catch {
    return null; // it is gone, which is a valid answer
  }
}

async function listen(where: AdminSocket, control: Control, log: Logger): Promise<Server> {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 30_000 });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (req, res) => {
    // A connection kept alive would go on talking to this process after its successor serves.
    res.shouldKeepAlive = false;
    void answer(req, res, control, log);
  });
  server.on('clientError', (_error, socket) => {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  if ('fd' in where) await listenPrivately(server, { fd: where.fd });
  else {
    // The name changes hands atomically: at every moment somebody answers. And node removes the name that a socket was
    // bound to when it closes, which must not be the name that another process may own by then.
    const temporary = `${where.path}.${process.pid}`;
    await rm(temporary, { force: true });
    await listenPrivately(server, temporary);
    await rename(temporary, where.path);
  }
  return server;
}

function isAnswered(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Absent or refused: nobody listens.
    probe.once('error', () => resolve(false));
  });
}

/** listen() binds the socket synchronously, so the umask applies to it alone, and its mode is never any wider. */
async function listenPrivately(server: Server, on: string | { readonly fd: number }): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(on, resolve);
      process.umask(before);
    });
  } finally {
    process.umask(before);
  }
}

/** One call, as its handler sees it. */
interface Call {
  readonly control: Control;
  /** The id in the path, if there is one. */
  readonly id: string;
  readonly body: <T>(schema: z.ZodType<T>) => Promise<T>;
  /** Aborts when the caller disconnects before it has its answer. */
  readonly given: AbortSignal;
}

/** A string is sent as it is, anything else as JSON. */
type Handler = (call: Call) => unknown;

const CALLS: Readonly<Record<string, Handler>> = {
  'GET /v1/table': ({ control }) => control.table.view(),
  'GET /v1/health': ({ control }) => health(control.table),
  'GET /v1/metrics': async ({ control }) => renderMetrics(await control.planes.metrics()),
  'GET /v1/certificates': ({ control }) => control.certificates(),
  'POST /v1/certificates/retry': async ({ control, body }) => control.retryCertificate(await body(RetryRequest)),
  'GET /v1/upstreams/:id/receipt': ({ control, id }) => control.table.receipt(id),
  'DELETE /v1/upstreams/:id': ({ control, id }) => control.table.remove(id),
  'POST /v1/flip': async ({ control, body }) => control.table.flip(await body(FlipRequest)),
  'POST /v1/flip-back': async ({ control, body }) => control.table.flipBack(await body(FlipBackRequest)),
  'POST /v1/edge': async ({ control, body }) => control.table.edge(await body(EdgeRequest)),
  'POST /v1/canary': async ({ control, body }) => control.table.canary(await body(CanaryRequest)),
  'POST /v1/drain': async ({ control, body, given }) => control.drain(await body(DrainRequest), given),
  'POST /v1/watch': async ({ control, body, given }) => control.table.watch(await body(WatchRequest), given),
  'POST /v1/hold': async ({ control, body }) => control.table.hold(await body(HoldRequest)),
  'POST /v1/hand-over': async ({ control, body }) => control.handOver(await body(HandOverRequest)),
  'POST /v1/resume': async ({ control, body }) => control.table.resume((await body(ResumeRequest)).upstreamId),
};

/** Never rejects: every error becomes a response. */
async function answer(req: IncomingMessage, res: ServerResponse, control: Control, log: Logger): Promise<void> {
  try {
    const given = new AbortController();
    res.once('close', () => given.abort());
    const value = await dispatch(req, control, given.signal);
    if (typeof value === 'string') send(res, 200, METRICS_TYPE, value);
    else send(res, 200, 'application/json', JSON.stringify(value));
  } catch (error) {
    if (!(error instanceof OrkestrError)) log.error({ err: error, path: req.url }, 'an admin call failed');
    const problem = toProblem(toErrorReport(error));
    send(res, problem.status, 'application/problem+json', JSON.stringify(problem));
  }
}

async function dispatch(req: IncomingMessage, control: Control, given: AbortSignal): Promise<unknown> {
  const [path = ''] = (req.url ?? '').split('?', 1);
  const [, before, id, after = ''] = /^(\/v1\/upstreams\/)([^/]+)(\/.*)?$/.exec(path) ?? [];
  const name = `${req.method} ${before === undefined ? path : `${before}:id${after}`}`;
  const handler = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
  if (!handler) throw new OrkestrError('ORK_NOT_FOUND', 'The admin API has no such call.');
  return handler({
    control,
    given,
    id: id === undefined ? '' : check(Uuid, id),
    body: async (schema) => check(schema, await readJson(req)),
  });
}

function health(table: Table): HealthAnswer {
  const evidence = table.unreadable;
  if (!evidence) return { ok: true, version: manifest.version };
  throw new OrkestrError('ORK_TABLE_UNREADABLE', 'The table could not be restored; routes are missing.', { evidence });
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const evidence = read.error.issues.slice(0, 20).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new OrkestrError('ORK_INVALID', 'The request does not have the form that the call needs.', { evidence });
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ADMIN_BODY_BYTES) {
      throw new OrkestrError('ORK_TOO_LARGE', `The body is larger than ${MAX_ADMIN_BODY_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new OrkestrError('ORK_INVALID', 'The body is not JSON.', { cause: error });
  }
}

function send(res: ServerResponse, status: number, type: string, body: string): void {
  // The rest of an unread body would be taken for the next request.
  const close = res.req.complete ? {} : { connection: 'close' };
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...close });
  res.end(body);
}
