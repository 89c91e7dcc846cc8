/**
 * A forward proxy for a build's programs: CONNECT for TLS, absolute URLs for plain HTTP (RFC 9110 section 9.3.6, RFC
 * 9112 section 3.2.2). The gate decides which hosts may be reached.
 */
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Gate, Refusal } from './gate.ts';

const MAX_CONNECTIONS = 256;
const MAX_HEADER_BYTES = 16_384;
const HEADERS_TIMEOUT_MS = 15_000;
/** For connections without traffic. Long, since a registry may take minutes to prepare a response. */
const IDLE_TIMEOUT_MS = 5 * 60_000;
/** Connection-specific headers, which a proxy does not forward (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = ['connection', 'proxy-connection', 'proxy-authorization', 'keep-alive', 'te', 'trailer', 'upgrade'];

interface ForwardProxyOptions {
  /** Address to listen on; the port is any free one. */
  readonly address: string;
  /** The only address accepted as a client. */
  readonly client: string;
  readonly gate: Gate;
  readonly onRefused: (refusal: string) => void;
}

interface ForwardProxy {
  readonly port: number;
  /** Closes every connection. */
  close(): Promise<void>;
}

export async function startForwardProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const { gate, onRefused } = options;
  const sockets = new Set<Socket>();
  /** Tracks both ends of every connection, to close them with the proxy and when idle. */
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined); // its 'close' follows, and closes the other end
    return socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
  };
  /** Opens a connection for a client, aborted if the client disconnects. */
  const open = async (host: string, port: number, client: Duplex): Promise<Socket> => {
    const gone = new AbortController();
    const abort = (): void => gone.abort();
    client.once('close', abort);
    try {
      return keep(await gate.open(host, port, gone.signal));
    } finally {
      client.off('close', abort);
    }
  };

  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('connection', (socket) => {
    keep(socket);
    if (socket.remoteAddress !== options.client) socket.destroy();
  });
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    tunnel(request, client, head, open).catch((error: unknown) => refuseTunnel(client, toAnswer(error, onRefused)));
  });
  server.on('request', (request, response) => {
    forward(request, response, open).catch((error: unknown) => refuse(response, toAnswer(error, onRefused)));
  });
  server.listen(0, options.address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await closed(server);
    },
  };
}

type Open = (host: string, port: number, client: Duplex) => Promise<Socket>;

/** A request that a proxy cannot serve. */
class BadRequest extends Error {}

async function tunnel(request: IncomingMessage, client: Socket, head: Buffer, open: Open): Promise<void> {
  const [, host, port] = /^([A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(request.url ?? '') ?? [];
  if (host === undefined) throw new BadRequest('CONNECT takes host:port');
  const upstream = await open(host, Number(port), client);
  client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
  upstream.write(head);
  try {
    await Promise.all([pipeline(client, upstream), pipeline(upstream, client)]);
  } catch {
    // One end failed: close the other one too.
  } finally {
    client.destroy();
    upstream.destroy();
  }
}

async function forward(request: IncomingMessage, response: ServerResponse, open: Open): Promise<void> {
  const url = URL.parse(request.url ?? '');
  if (url?.protocol !== 'http:' || url.username !== '' || url.password !== '') {
    throw new BadRequest('a proxy takes CONNECT, or a URL with http:// and a host');
  }
  const upstream = await open(url.hostname, Number(url.port || 80), request.socket);
  const onward = httpRequest({
    createConnection: () => upstream,
    method: request.method,
    path: url.pathname + url.search,
    // The host that was checked, whatever Host header the program sent.
    headers: { ...endToEnd(request), host: url.host, connection: 'close' },
  });
  onward.on('error', () => undefined); // the relevant error is awaited below; a later one shows in the response
  try {
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>;
    // A failure destroys both streams, and `answered` rejects.
    pipeline(request, onward).catch(() => undefined);
    const [answer] = await answered;
    response.writeHead(answer.statusCode ?? 502, { ...endToEnd(answer) });
    await pipeline(answer, response);
  } finally {
    upstream.destroy();
  }
}

/** End-to-end headers. Keeps the body's framing, or a body without a length would lose its end. */
function endToEnd(message: IncomingMessage): OutgoingHttpHeaders {
  const named = (message.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const dropped = new Set([
    ...HOP_BY_HOP,
    ...named.filter((name) => !/^(?:content-length|transfer-encoding)$/.test(name)),
  ]);
  return Object.fromEntries(Object.entries(message.headersDistinct).filter(([name]) => !dropped.has(name)));
}

interface Answer {
  readonly status: 400 | 403 | 502;
  readonly text: string;
}

function toAnswer(error: unknown, onRefused: (refusal: string) => void): Answer {
  if (error instanceof Refusal) {
    onRefused(error.message);
    return { status: 403, text: `orkestr: refused: ${error.message}\n` };
  }
  const text = `orkestr: ${error instanceof Error ? error.message : String(error)}\n`;
  return { status: error instanceof BadRequest ? 400 : 502, text };
}

const REASONS = { 400: 'Bad Request', 403: 'Forbidden', 502: 'Bad Gateway' } as const;

function refuseTunnel(client: Socket, { status, text }: Answer): void {
  const head = [`HTTP/1.1 ${status} ${REASONS[status]}`, 'Content-Type: text/plain', 'Connection: close'];
  client.end([...head, `Content-Length: ${Buffer.byteLength(text)}`, '', text].join('\r\n'));
}

function refuse(response: ServerResponse, { status, text }: Answer): void {
  // A truncated response must not look complete.
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(text);
}

async function closed(server: Server): Promise<void> {
  const end = once(server, 'close');
  server.close();
  await end;
}
