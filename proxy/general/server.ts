/** The HTTP server of the general engine: node:http reads requests from connections that others have accepted. */
import { createServer, ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { plainAddress } from '../../protocol/client-network.ts';
import type { Context } from '../engine/context.ts';
import { unreadRequest } from '../engine/unread.ts';
import { refused } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { AddressRanges } from '../policy/allow-list.ts';
import { readClient } from '../policy/client-address.ts';
import type { Client } from '../policy/client-address.ts';
import { BadClients } from './bad-client.ts';
import { Dispatch } from './dispatch.ts';
import { Exchange } from './exchange.ts';
import type { Arrival } from './exchange.ts';
import { makeGeneral } from './general.ts';
import type { General } from './general.ts';
import { linger } from './linger.ts';
import { isFailure, readRequest, unread } from './request.ts';
import { Turns } from './turns.ts';

const ONLY_CONTINUE = refused(417, 'Only 100-continue is known.');
const NO_CONNECT = refused(405, 'The method CONNECT is not served.');

export class GeneralServer {
  readonly #context: Context;
  readonly #trusted: AddressRanges | null;
  readonly #general: General;
  readonly #dispatch: Dispatch;
  readonly #turns = new Turns();
  readonly #badClients: BadClients;
  readonly #server: Server;
  /**
   * All open connections, and those without a request so far, which browsers open in advance and node counts as busy.
   */
  readonly #open = new Set<Duplex>();
  readonly #silent = new Set<Duplex>();
  readonly #peers = new WeakMap<Duplex, Client>();
  /** False while there are no connections. */
  #isTracking = false;
  #closing = false;
  #closesIdle = false;

  /** @param trusted peers whose claims about the client behind them are believed; null: nobody's */
  constructor(context: Context, trusted: AddressRanges | null = null) {
    this.#context = context;
    this.#trusted = trusted;
    this.#general = makeGeneral(context.limits, context.timeouts, context.clock);
    this.#dispatch = new Dispatch(context, this.#general);
    this.#badClients = new BadClients(context.timeouts, (socket, status) => {
      context.observer.unrouted(unreadRequest('general', this.#peerOf(socket), status));
    });
    this.#server = this.#makeServer();
  }

  /**
   * Takes over a connection. Bytes already read from it must have been put back (`unshift`).
   * @param peer the client at its other end; absent: derived from the connection
   */
  accept(socket: Duplex, peer: Client = peerOf(socket)): void {
    this.#trackConnections();
    this.#peers.set(socket, peer);
    this.#open.add(socket);
    this.#silent.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#silent.delete(socket);
      if (this.#open.size === 0) this.#trackNothing();
    });
    // Node calls `destroySoon` after the last response, to close the connection at once.
    Object.assign(socket, { destroySoon: () => linger(socket, this.#context.timeouts) });
    this.#server.emit('connection', socket);
  }

  /** The server never listens itself, but node sets up its head and idle limits at this event: a check every second. */
  #trackConnections(): void {
    if (this.#isTracking) return;
    this.#isTracking = true;
    this.#server.emit('listening');
  }

  /** Ends node's checks, so that an idle proxy does not wake up. A server that does not listen can be closed often. */
  #trackNothing(): void {
    this.#isTracking = false;
    this.#server.close();
  }

  /** Makes each response from now on the last one on its connection. New connections are still accepted. */
  leave(): void {
    this.#closing = true;
  }

  /** Closes the connections that are idle between two requests now, and the others as soon as they become idle. */
  closeIdle(): void {
    this.#closesIdle = true;
    this.#endIdle();
    for (const socket of this.#silent) socket.destroy();
  }

  /** Resolves when no connection is left. To be called when no more are handed over. */
  async close(): Promise<void> {
    this.leave();
    await Promise.all([...this.#open].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    this.#server.close();
    this.#general.close();
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /**
   * Closes idle connections. Only node knows which they are, and it destroys them, although some still have an unread
   * response queued: those get a graceful close instead.
   */
  #endIdle(): void {
    const late = [...this.#open].filter((socket) => socket.writableLength > 0);
    for (const socket of late) {
      const endSoon = (): Duplex => {
        Reflect.deleteProperty(socket, 'destroy');
        linger(socket, this.#context.timeouts);
        return socket;
      };
      Object.assign(socket, { destroy: endSoon });
    }
    this.#server.closeIdleConnections();
    for (const socket of late) Reflect.deleteProperty(socket, 'destroy');
  }

  #makeServer(): Server {
    const { limits, timeouts } = this.#context;
    const server = createServer({
      maxHeaderSize: limits.headBytes,
      insecureHTTPParser: false,
      // A missing Host gets our own error page.
      requireHostHeader: false,
      headersTimeout: timeouts.clientHeadMs,
      // Bodies may take long; the guard limits silence.
      requestTimeout: 0,
      keepAliveTimeout: timeouts.clientIdleMs,
      connectionsCheckingInterval: Math.min(1000, timeouts.clientHeadMs),
      noDelay: true,
      // Node detaches from a connection at a handshake: it would no longer drive a response in progress, and nobody
      // would see its client leave. RFC 9110 section 7.8 permits ignoring the upgrade of such a request.
      shouldUpgradeCallback: (req) => isWebSocket(req) && this.#turns.current(req.socket) === null,
    });
    // Node would silently drop fields beyond this number; request.ts refuses them instead.
    server.maxHeadersCount = 0;
    server.timeout = timeouts.streamIdleMs;
    server.on('request', (req, res) => this.#arrived({ req, res, expectsContinue: false, upgrade: null }));
    server.on('checkContinue', (req, res) => this.#arrived({ req, res, expectsContinue: true, upgrade: null }));
    server.on('checkExpectation', (req, res) => {
      this.#arrived({ req, res, expectsContinue: false, upgrade: null }, ONLY_CONTINUE);
    });
    server.on('upgrade', (req, socket, head) => this.#upgrading(req, socket as Socket, head));
    server.on('connect', (req, socket) => this.#refuseConnect(req, socket));
    server.on('clientError', (error, socket) => this.#badClients.answer(error, socket));
    return server;
  }

  /** Node has detached from the connection, and so from the responses before this one; they are driven on from here. */
  #refuseConnect(req: IncomingMessage, socket: Duplex): void {
    // A reset here affects nothing.
    socket.on('error', () => undefined);
    socket.on('drain', () => this.#turns.current(socket)?.emit('drain'));
    // Further input is dropped, but reading goes on so that the client's leaving is noticed.
    const leave = (): void => void socket.destroy();
    socket.once('end', leave);
    socket.resume();
    this.#turns.take(socket, new ServerResponse(req), () => {
      socket.off('end', leave);
      this.#badClients.refuse(socket, NO_CONNECT);
    });
  }

  /** Node gives a handshake no response object; with one, its responses take the same path as all others. */
  #upgrading(req: IncomingMessage, socket: Socket, head: Buffer): void {
    // Errors are followed by `close`, which is handled.
    socket.on('error', () => undefined);
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.once('finish', () => linger(socket, this.#context.timeouts));
    this.#arrived({ req, res, expectsContinue: false, upgrade: { socket, head } });
  }

  /** @param refusal the response, when it is already decided */
  #arrived(arrival: Arrival, refusal: Failure | null = null): void {
    const { req, res, upgrade } = arrival;
    const { limits } = this.#context;
    const { socket } = req;
    this.#silent.delete(socket);
    // Also covers a response that had begun before, and so could not say `Connection: close`.
    res.once('close', () => this.#closesIdle && this.#endIdle());
    const client = readClient(this.#peerOf(socket), (name) => req.headers[name]?.toString(), this.#trusted);
    const read = refusal ?? readRequest(req, client, limits.headerFields);
    const request = isFailure(read) ? unread(req, client) : read;
    const exchange = new Exchange(this.#context, arrival, request, () => this.#closing);
    this.#badClients.began(exchange);
    this.#turns.take(socket, res, () => {
      if (upgrade) res.assignSocket(upgrade.socket);
      if (isFailure(read)) exchange.refuse(read);
      else this.#dispatch.begin(exchange);
    });
  }

  #peerOf(socket: Duplex): Client {
    return this.#peers.get(socket) ?? peerOf(socket);
  }
}

/** Derives the client from a connection itself. */
function peerOf(socket: Duplex & { remoteAddress?: string }): Client {
  return { address: plainAddress(socket.remoteAddress ?? ''), secure: 'encrypted' in socket };
}

/** True for an upgrade to WebSocket. Upgrades to other protocols are ignored. */
function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket';
}
