/** node:http in front of the general engine: it reads requests from connections that others have accepted. */
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
  /** Connections of ours, and those that have asked nothing yet, as browsers open them in advance: node calls them busy. */
  readonly #open = new Set<Duplex>();
  readonly #silent = new Set<Duplex>();
  readonly #peers = new WeakMap<Duplex, Client>();
  #closing = false;
  #closesIdle = false;

  /** @param trusted whose claims about the clients before them are believed; null: nobody's */
  constructor(context: Context, trusted: AddressRanges | null = null) {
    this.#context = context;
    this.#trusted = trusted;
    this.#general = makeGeneral(context.limits, context.timeouts, context.clock);
    this.#dispatch = new Dispatch(context, this.#general);
    this.#badClients = new BadClients(context.timeouts, (socket, status) => {
      context.observer.unrouted(unreadRequest('general', this.#peerOf(socket), status));
    });
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
    // What node calls after its last answer, to close at once.
    Object.assign(socket, { destroySoon: () => linger(socket, this.#context.timeouts) });
    this.#server.emit('connection', socket);
  }

  /** From now on each answer is the last one of its connection. Connections are taken on all the same. */
  leave(): void {
    this.#closing = true;
  }

  /** Closes the connections that are between two requests, also those that come to be so. */
  closeIdle(): void {
    this.#closesIdle = true;
    this.#endIdle();
    for (const socket of this.#silent) socket.destroy();
  }

  /** Resolves when no connection is left. Call it when no more are handed over. */
  async close(): Promise<void> {
    this.leave();
    await Promise.all([...this.#open].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    this.#server.close();
    this.#general.close();
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** Node alone knows which connections are idle, and destroys them; some of them have an answer that is not read yet. */
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
      // A missing Host gets our own page.
      requireHostHeader: false,
      headersTimeout: timeouts.clientHeadMs,
      // Bodies may be long; the guard limits silence.
      requestTimeout: 0,
      keepAliveTimeout: timeouts.clientIdleMs,
      connectionsCheckingInterval: Math.min(1000, timeouts.clientHeadMs),
      noDelay: true,
      // Node lets go of a connection at a handshake: an answer that is still on its way there would not be driven on, and
      // nobody would see its client leave. RFC 9110 section 7.8 lets such a request be answered as if it had not asked.
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

  /** Node has let go of the connection, and so of the answers before this one: they are driven on from here. */
  #refuseConnect(req: IncomingMessage, socket: Duplex): void {
    // A reset here concerns nobody.
    socket.on('error', () => undefined);
    socket.on('drain', () => this.#turns.current(socket)?.emit('drain'));
    // What else its client says is dropped, but that it leaves is not to be missed.
    const leave = (): void => void socket.destroy();
    socket.once('end', leave);
    socket.resume();
    this.#turns.take(socket, new ServerResponse(req), () => {
      socket.off('end', leave);
      this.#badClients.refuse(socket, NO_CONNECT);
    });
  }

  /** A handshake has no response object; with one its answers take the same way as all others. */
  #upgrading(req: IncomingMessage, socket: Socket, head: Buffer): void {
    // Its errors are followed by `close`, which is what everybody listens to.
    socket.on('error', () => undefined);
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.once('finish', () => linger(socket, this.#context.timeouts));
    this.#arrived({ req, res, expectsContinue: false, upgrade: { socket, head } });
  }

  /** @param refusal the answer that is already decided on */
  #arrived(arrival: Arrival, refusal: Failure | null = null): void {
    const { req, res, upgrade } = arrival;
    const { limits } = this.#context;
    const { socket } = req;
    this.#silent.delete(socket);
    // Also for a response that had begun before, and so could not say `Connection: close`.
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

/** The client as a connection itself knows it. */
function peerOf(socket: Duplex & { remoteAddress?: string }): Client {
  return { address: plainAddress(socket.remoteAddress ?? ''), secure: 'encrypted' in socket };
}

/** Other protocols than WebSocket are not switched to: their requests are answered as if they had not asked. */
function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket';
}
