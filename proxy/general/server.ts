/** node:http in front of the general engine: it reads requests from connections that others have accepted. */
import { randomUUID } from 'node:crypto';
import { createServer, ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Context } from '../context.ts';
import { answerPage, HOST_UNKNOWN, rawPage, refused, TABLE_UNREADABLE } from '../pages.ts';
import type { Failure } from '../pages.ts';
import { BadClients } from './bad-client.ts';
import type { Exchange } from './exchange.ts';
import { makeGeneral } from './guard.ts';
import type { General } from './guard.ts';
import { givenRequestId, plainAddress } from './headers.ts';
import type { Client } from '../policy/client-address.ts';
import { isFailure, readRequest } from './request.ts';

/** One request as node:http gives it. */
interface Arrival {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly expectsContinue: boolean;
  readonly upgrade: { readonly socket: Socket; readonly head: Buffer } | null;
}

export class GeneralServer {
  readonly #context: Context;
  readonly #general: General;
  readonly #badClients: BadClients;
  readonly #server: Server;
  /** Connections of ours, and those that have asked nothing yet, as browsers open them in advance: node calls them busy. */
  readonly #open = new Set<Duplex>();
  readonly #silent = new Set<Duplex>();
  readonly #peers = new WeakMap<Duplex, Client>();
  #closing = false;

  constructor(context: Context) {
    this.#context = context;
    this.#general = makeGeneral(context.limits, context.timeouts, context.clock);
    this.#badClients = new BadClients(context.timeouts.closeMs);
    this.#server = this.#makeServer();
    // It never listens by itself, and node sets its head and idle limits up at this event.
    this.#server.emit('listening');
  }

  /**
   * Takes a connection over. What was read from it before must have been put back (`unshift`).
   * @param peer the client at its other end; absent: what the connection knows
   */
  accept(socket: Duplex, peer: Client = peerOf(socket)): void {
    this.#peers.set(socket, peer);
    this.#open.add(socket);
    this.#silent.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#silent.delete(socket);
    });
    this.#server.emit('connection', socket);
  }

  /** Tells keep-alive clients to go and lets what is in flight finish. Resolves when no connection is left. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.closeIdleConnections();
    for (const socket of this.#silent) socket.destroy();
    await Promise.all([...this.#open].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    this.#server.close();
    this.#general.close();
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #makeServer(): Server {
    const { limits, timeouts } = this.#context;
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
    server.timeout = timeouts.streamIdleMs;
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
      setTimeout(() => socket.destroy(), this.#context.timeouts.closeMs).unref();
    });
    this.#arrived({ req, res, expectsContinue: false, upgrade: { socket, head } });
  }

  #arrived(arrival: Arrival): void {
    const { req, res } = arrival;
    const { plane, limits, tableUnreadable } = this.#context;
    this.#silent.delete(req.socket);
    this.#badClients.began(res);
    // Also for a response that had begun before, and so could not say `Connection: close`.
    res.once('close', () => this.#closing && this.#server.closeIdleConnections());
    const request = readRequest(req, this.#peers.get(req.socket) ?? peerOf(req.socket), limits.headerFields);
    if (isFailure(request)) return this.#refuse(arrival, request);
    if (arrival.upgrade && request.hasBody) return this.#refuse(arrival, refused(400, 'An upgrade has no body.'));
    const route = plane.routesOf(request.host)?.find(request.path);
    if (!route) return this.#refuse(arrival, tableUnreadable() ? TABLE_UNREADABLE : HOST_UNKNOWN);
    const requestId = givenRequestId(req.headers['x-request-id']) ?? randomUUID();
    const failed: Exchange['failed'] = (failure, cause, answered, target) => {
      if (answered) route.upstream.countFailure();
      this.#context.failures.record(route.upstream.id, target?.id ?? null, failure, cause);
    };
    return this.#general.forward({ ...arrival, request, requestId, route, closing: () => this.#closing, failed });
  }

  #refuse({ req, res, expectsContinue, upgrade }: Arrival, failure: Failure): void {
    // A client that we misread, or that waits with its body, must not go on with this connection.
    const unsure = failure.code === 'ORK_INVALID' || failure.code === 'ORK_TOO_LARGE';
    answerPage(res, failure, unsure || this.#closing || upgrade !== null || (expectsContinue && !req.complete));
  }
}

/** The client as a connection itself knows it. */
function peerOf(socket: Duplex & { remoteAddress?: string }): Client {
  return { address: plainAddress(socket.remoteAddress ?? ''), secure: 'encrypted' in socket };
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
