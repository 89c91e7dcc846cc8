/** The listeners: requests in, each claimed and handed to the forward engine or answered with a page. */
import { randomUUID } from 'node:crypto';
import { createServer, ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BadClients } from './bad-client.ts';
import type { Limits, ListenAddress, Timeouts } from './config.ts';
import type { FailureLog } from './failure-log.ts';
import { givenRequestId } from './forward/headers.ts';
import type { Forward } from './forward/forward.ts';
import { answerPage, APP_UNAVAILABLE, HOST_UNKNOWN, rawPage, refused, TABLE_UNREADABLE } from './pages.ts';
import type { Failure } from './pages.ts';
import { isFailure, readRequest } from './request.ts';
import type { Table } from './table.ts';

export interface EdgeParts {
  readonly table: Table;
  readonly forward: Forward;
  readonly failures: FailureLog;
  readonly limits: Limits;
  readonly timeouts: Timeouts;
}

/** One request as a listener gives it. */
interface Arrival {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly expectsContinue: boolean;
  readonly upgrade: { readonly socket: Socket; readonly head: Buffer } | null;
}

export class Edge {
  readonly #parts: EdgeParts;
  readonly #badClients: BadClients;
  readonly #servers: Server[] = [];
  /** Connections that have asked nothing yet, as browsers open them in advance. Node does not count them as idle. */
  readonly #silent = new Set<Duplex>();
  #closing = false;

  constructor(parts: EdgeParts) {
    this.#parts = parts;
    this.#badClients = new BadClients(parts.timeouts.closeMs);
  }

  /** @param on an address, or the descriptor of a listening socket that was handed to this process */
  async listen(on: ListenAddress | { readonly fd: number }): Promise<AddressInfo> {
    const server = this.#makeServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(on, resolve);
    });
    this.#servers.push(server);
    return server.address() as AddressInfo;
  }

  /**
   * Takes no more connections, tells keep-alive clients to go, lets what is in flight finish and cuts what is left at the
   * deadline.
   */
  async close(): Promise<void> {
    const { timeouts, table, forward } = this.#parts;
    this.#closing = true;
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#closeIdle();
    for (const socket of this.#silent) socket.destroy();
    const cut = setTimeout(() => table.cut(), timeouts.shutdownMs);
    const destroy = setTimeout(() => {
      for (const server of this.#servers) server.closeAllConnections();
    }, timeouts.shutdownMs + timeouts.closeMs);
    await Promise.all(closed);
    clearTimeout(cut);
    clearTimeout(destroy);
    forward.close();
  }

  #makeServer(): Server {
    const { limits, timeouts } = this.#parts;
    const server = createServer({
      maxHeaderSize: limits.headBytes,
      insecureHTTPParser: false,
      // A missing Host gets our own page.
      requireHostHeader: false,
      headersTimeout: timeouts.clientHeadMs,
      // Bodies may be long; the guard limits silence.
      requestTimeout: 0,
      keepAliveTimeout: timeouts.clientIdleMs,
      connectionsCheckingInterval: Math.min(1000, timeouts.clientHeadMs),
      noDelay: true,
      shouldUpgradeCallback: isWebSocket,
    });
    // Node would silently drop fields beyond this number; request.ts refuses them instead.
    server.maxHeadersCount = 0;
    server.maxConnections = limits.connections;
    server.timeout = timeouts.streamIdleMs;
    server.on('connection', (socket: Socket) => {
      this.#silent.add(socket);
      socket.once('close', () => this.#silent.delete(socket));
    });
    server.on('request', (req, res) => this.#arrived({ req, res, expectsContinue: false, upgrade: null }));
    server.on('checkContinue', (req, res) => this.#arrived({ req, res, expectsContinue: true, upgrade: null }));
    server.on('checkExpectation', (_req, res) => answerPage(res, refused(417, 'Only 100-continue is known.'), true));
    server.on('upgrade', (req, socket, head) => this.#upgrading(req, socket as Socket, head));
    server.on('connect', (_req, socket) => refuseConnect(socket, timeouts.closeMs));
    server.on('clientError', (error, socket) => this.#badClients.answer(error, socket));
    return server;
  }

  /** A handshake has no response object; with one its answers take the same way as all others. */
  #upgrading(req: IncomingMessage, socket: Socket, head: Buffer): void {
    // Its errors are followed by `close`, which is what everybody listens to.
    socket.on('error', () => undefined);
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.once('finish', () => {
      socket.end();
      setTimeout(() => socket.destroy(), this.#parts.timeouts.closeMs).unref();
    });
    this.#arrived({ req, res, expectsContinue: false, upgrade: { socket, head } });
  }

  #arrived(arrival: Arrival): void {
    const { req, res } = arrival;
    this.#silent.delete(req.socket);
    this.#badClients.began(res);
    // Also for a response that had begun before, and so could not say `Connection: close`.
    res.once('close', () => this.#closing && this.#closeIdle());
    const request = readRequest(req, this.#parts.limits.headerFields);
    if (isFailure(request)) return this.#refuse(arrival, request);
    if (arrival.upgrade && request.hasBody) return this.#refuse(arrival, refused(400, 'An upgrade has no body.'));
    const upstream = this.#parts.table.find(request.host, request.path);
    if (!upstream) return this.#refuse(arrival, this.#parts.table.unreadable ? TABLE_UNREADABLE : HOST_UNKNOWN);
    const claim = upstream.claim();
    const { failures, forward } = this.#parts;
    const failed = (failure: Failure, cause: unknown, answered: boolean): void => {
      if (answered) upstream.countFailure();
      failures.record(upstream.id, claim?.target.id ?? null, failure, cause);
    };
    if (!claim) {
      failed(APP_UNAVAILABLE, 'no target takes requests', true);
      return this.#refuse(arrival, APP_UNAVAILABLE);
    }
    const requestId = givenRequestId(req.headers['x-request-id']) ?? randomUUID();
    const closing = (): boolean => this.#closing;
    return forward.forward({ ...arrival, request, requestId, protocol: 'http', claim, closing, failed });
  }

  #refuse({ req, res, expectsContinue, upgrade }: Arrival, failure: Failure): void {
    // A client that we misread, or that waits with its body, must not go on with this connection.
    const unsure = failure.code === 'ORK_INVALID' || failure.code === 'ORK_TOO_LARGE';
    answerPage(res, failure, unsure || this.#closing || upgrade !== null || (expectsContinue && !req.complete));
  }

  #closeIdle(): void {
    for (const server of this.#servers) server.closeIdleConnections();
  }
}

/** Other protocols than WebSocket are not switched to: their requests are answered as if they had not asked. */
function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket';
}

function refuseConnect(socket: Duplex, closeMs: number): void {
  // A reset here concerns nobody.
  socket.on('error', () => undefined);
  socket.end(rawPage(refused(405, 'The method CONNECT is not served.')));
  setTimeout(() => socket.destroy(), closeMs).unref();
}
