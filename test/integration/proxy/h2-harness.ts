/** The HTTP/2 front behind real TLS, and clients of node:http2. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { systemClock } from '../../../proxy/clock.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../../proxy/config.ts';
import type { Limits, Timeouts } from '../../../proxy/config.ts';
import type { Context } from '../../../proxy/engine/context.ts';
import { FailureLog } from '../../../proxy/engine/failure-log.ts';
import { GeneralServer } from '../../../proxy/general/server.ts';
import { Http2Front } from '../../../proxy/h2/front.ts';
import type { Ended } from '../../../proxy/observe/observer.ts';
import { Plane } from '../../../proxy/plane.ts';
import type { AccessDeps } from '../../../proxy/policy/basic-auth.ts';
import { ClientRates } from '../../../proxy/policy/client-rates.ts';
import type { PolicyDeps } from '../../../proxy/policy/compile.ts';
import { PasswordCheck } from '../../../proxy/policy/password-check.ts';
import { makeCompiler } from '../../../proxy/routing/compile.ts';
import { Pools } from '../../../proxy/target/pool.ts';
import { makeCertificate } from '../../harness/certificates.ts';
import { listen, temporaryFolder } from './harness.ts';

/** What the observer was told, copied. */
type Seen = Pick<
  Ended,
  'method' | 'status' | 'outcome' | 'targetId' | 'bytesIn' | 'bytesOut' | 'httpVersion' | 'engine'
>;

export interface Http2Edge {
  readonly context: Context;
  readonly port: number;
  readonly plane: Plane;
  readonly front: Http2Front;
  readonly seen: Seen[];
  /** Opens a session of a real client. */
  connect(): Promise<ClientHttp2Session>;
  readonly cert: string;
}

export interface Http2Settings {
  /** Added to the monotonic clock of the proxy, ms. */
  readonly aheadMs?: () => number;
  readonly timeouts?: Partial<Timeouts>;
  readonly limits?: Partial<Limits>;
  readonly engine?: 'fast' | 'http-proxy';
}

export async function startHttp2Edge(t: TestContext, settings: Http2Settings = {}): Promise<Http2Edge> {
  const seen: Seen[] = [];
  const note = ({ method, status, outcome, targetId, bytesIn, bytesOut, httpVersion, engine }: Ended): void => {
    seen.push({ method, status, outcome, targetId, bytesIn, bytesOut, httpVersion, engine });
  };
  const observer = { upstream: () => ({ ended: note }), unrouted: note, forget: () => undefined };
  const limits = { ...DEFAULT_LIMITS, ...settings.limits };
  const timeouts = { ...DEFAULT_TIMEOUTS, closeMs: 200, ...settings.timeouts };
  const policies: PolicyDeps & AccessDeps = {
    clock: systemClock,
    hasCertificate: null,
    isOpenChallenge: null,
    httpsPort: 443,
    rates: new ClientRates(),
    passwords: new PasswordCheck(systemClock),
  };
  const plane = new Plane(systemClock, observer, makeCompiler(timeouts, policies));
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + (settings.aheadMs?.() ?? 0) };
  const context: Context = {
    plane,
    observer,
    limits,
    timeouts,
    failures: new FailureLog(makeLogger('proxy', 'silent'), systemClock),
    clock,
    terminator: null,
    tableUnreadable: () => false,
  };
  const pools = new Pools(limits, timeouts, systemClock);
  const general = new GeneralServer(context);
  const front = new Http2Front(context, pools, general, settings.engine);
  const { cert, key } = await makeCertificate(await temporaryFolder(t), 'app.test', ['DNS:app.test', 'DNS:b.test']);
  const server = createServer({ cert, key, ALPNProtocols: ['h2'], noDelay: true }, (socket) => front.accept(socket));
  // Ignores handshakes that test clients break off.
  server.on('tlsClientError', () => undefined);
  const port = await listen(server);
  const sessions: ClientHttp2Session[] = [];
  t.after(async () => {
    for (const session of sessions) session.destroy();
    server.close();
    front.destroy();
    plane.cut();
    general.destroy();
    pools.close();
    await Promise.all([front.close(), general.close()]);
  });
  const connectOne = async (): Promise<ClientHttp2Session> => {
    const session = connect(`https://app.test:${port}`, { ca: cert, host: '127.0.0.1', servername: 'app.test' });
    session.on('error', () => undefined);
    sessions.push(session);
    await once(session, 'remoteSettings');
    return session;
  };
  return { context, port, plane, front, seen, cert, connect: connectOne };
}

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  readonly trailers: Record<string, string | string[] | undefined>;
  readonly informed: Record<string, string | string[] | undefined>[];
}

/** Sends one request; returns its whole response, or the error that ended its stream. */
export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Reply> {
  const stream = session.request(
    { ':authority': 'app.test', ':path': '/', ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(body);
  return reply(stream);
}

export async function reply(stream: ClientHttp2Stream): Promise<Reply> {
  const chunks: Buffer[] = [];
  let headers: Record<string, string | string[] | undefined> = {};
  let trailers: Record<string, string | string[] | undefined> = {};
  const informed: Record<string, string | string[] | undefined>[] = [];
  stream.on('headers', (fields) => informed.push({ ...fields, ':status': String(fields[':status']) }));
  stream.on('response', (fields) => {
    headers = { ...fields, ':status': String(fields[':status']) };
  });
  stream.on('trailers', (fields) => {
    trailers = { ...fields };
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('close', () => (stream.rstCode === 0 ? resolve() : reject(new Error(`reset: ${stream.rstCode}`))));
  });
  return { status: Number(headers[':status']), headers, text: Buffer.concat(chunks).toString(), trailers, informed };
}
