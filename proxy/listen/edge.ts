/** The listeners of a process: accepts connections and passes each to the engine that reads it. */
import { createServer } from 'node:net';
import type { AddressInfo, BoundSocket, Server, Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import { plainAddress } from '../../protocol/client-network.ts';
import type { Config, ListenAddress } from '../config.ts';
import type { Context } from '../engine/context.ts';
import { FastEngine } from '../fast/engine.ts';
import { GeneralServer } from '../general/server.ts';
import { Http2Front } from '../h2/front.ts';
import { connectionFamilies } from '../observe/connection-metrics.ts';
import type { Collect } from '../observe/metrics.ts';
import { TlsMetrics } from '../observe/tls-metrics.ts';
import { makeRanges } from '../policy/allow-list.ts';
import type { AddressRanges } from '../policy/allow-list.ts';
import type { Client } from '../policy/client-address.ts';
import { Pools } from '../target/pool.ts';
import { attachTls, secureServerOptions } from '../tls/secure-server.ts';
import type { StaticTerminator } from '../tls/static-terminator.ts';
import { ConnectionCaps } from './caps.ts';
import { Goodbyes } from './goodbyes.ts';
import { readProxied } from './proxied.ts';

export type ListenerKind = 'http' | 'https';

type EdgeSettings = Pick<Config, 'engine' | 'trusted' | 'proxyProtocol'>;

/** How often a close checks whether new connections have sent a request and the others have gone, ms. */
const LOOK_MS = 5;
/**
 * How many connections may wait to be accepted; net.core.somaxconn may lower it. Node's default of 511 is full after
 * half a second of an attack with a thousand a second, and a client that does not fit in retries only a second later.
 */
const BACKLOG = 4096;
/** How long clients between two requests have to learn, from a response, that it is their connection's last, ms. */
const NOTICE_MS = 500;

export class Edge {
  readonly #context: Context;
  readonly #settings: EdgeSettings;
  readonly #trusted: AddressRanges;
  readonly #caps: ConnectionCaps;
  readonly #general: GeneralServer;
  readonly #fast: FastEngine;
  readonly #http2: Http2Front;
  readonly #tls: TlsServer | null;
  readonly #detachTls: () => void;
  readonly #pools: Pools;
  readonly #handshakes = new TlsMetrics();
  readonly #listeners: Server[] = [];
  readonly #goodbyes: Goodbyes;
  /** Client connections, with the time when they were opened (monotonic, ms). */
  readonly #open = new Map<Socket, number>();
  #deadlines: readonly NodeJS.Timeout[] = [];
  #closed: Promise<void> | null = null;
  #isPatient = false;
  #isLeaving = false;
  /** Since when each response is the last of its connection (monotonic, ms). */
  #leavingSince = 0;
  #noticeMs = NOTICE_MS;
  /** Clients named by a sender in front, by the remote end of the connection, during the TLS handshake. */
  readonly #named = new Map<string, string>();
  /** Connections in the TLS handshake, by their remote end. */
  readonly #shaking = new Set<string>();

  /** @param terminator null: the process does not listen for TLS */
  constructor(context: Context, settings: EdgeSettings, terminator: StaticTerminator | null) {
    this.#context = context;
    this.#settings = settings;
    this.#trusted = makeRanges(settings.trusted);
    this.#caps = new ConnectionCaps(context.limits);
    this.#goodbyes = new Goodbyes(context.plane, context.timeouts);
    const pools = new Pools(context.limits, context.timeouts, context.clock);
    this.#pools = pools;
    this.#general = new GeneralServer(context, this.#trusted);
    this.#fast = new FastEngine(context, this.#trusted, this.#general, pools);
    this.#http2 = new Http2Front(context, pools, this.#general, settings.engine);
    this.#tls =
      terminator && createTlsServer(secureServerOptions(terminator, context.timeouts, { alpn: ['h2', 'http/1.1'] }));
    this.#detachTls = terminator && this.#tls ? attachTls(this.#tls, terminator, context.timeouts) : () => undefined;
    this.#tls?.on('secureConnection', (socket) => this.#secured(socket));
    if (this.#tls) this.#handshakes.watch(this.#tls);
    // A failed handshake is the client's concern; just close the connection.
    this.#tls?.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** Metrics of the connections on both sides. */
  readonly collect: Collect = () => [
    ...connectionFamilies(this.#caps.counts, this.#pools.counts),
    ...(this.#tls ? this.#handshakes.collect() : []),
  ];

  /**
   * @param on an address, a bound socket, or the descriptor of an inherited one
   * @throws Error for `https` without a terminator; the system's error when it cannot listen there
   */
  async listen(
    on: ListenAddress | BoundSocket | { readonly fd: number },
    kind: ListenerKind = 'http',
  ): Promise<AddressInfo> {
    if (kind === 'https' && this.#tls === null) throw new Error('there is nothing to listen for TLS with');
    const accepted = (socket: Socket): void => this.#admit(socket, kind);
    const server = createServer({ noDelay: true, allowHalfOpen: kind === 'http' }, accepted);
    await new Promise<void>((resolve, reject) => {
      // Once it listens, an error is a connection that could not be accepted for lack of memory or descriptors.
      server.on('error', (error) => (server.listening ? this.#caps.refuse() : reject(error)));
      server.listen(on, BACKLOG, resolve);
    });
    this.#listeners.push(server);
    return server.address() as AddressInfo;
  }

  /**
   * Stops accepting, asks keep-alive clients to leave, lets work in flight finish, says goodbye to streams in time, and
   * cuts what is left after `shutdownMs`. A second call sets a new deadline for the same end.
   *
   * A request that is under way while its connection is closed is lost. So a connection between two requests stays open
   * for a moment or, if there is time, as when a successor serves, until its idle limit. Its next response is its last.
   */
  async close(shutdownMs: number = this.#context.timeouts.shutdownMs): Promise<void> {
    const { timeouts, plane } = this.#context;
    for (const timer of this.#deadlines) clearTimeout(timer);
    const destroy = (): void => {
      for (const engine of [this.#general, this.#fast, this.#http2]) engine.destroy();
    };
    this.#deadlines = [setTimeout(() => plane.cut(), shutdownMs), setTimeout(destroy, shutdownMs + timeouts.closeMs)];
    this.#goodbyes.begin(shutdownMs);
    this.#isPatient = shutdownMs > timeouts.clientIdleMs;
    this.#noticeMs = Math.min(NOTICE_MS, shutdownMs);
    this.#closed ??= this.#drain();
    void this.#closeIdle();
    await this.#closed;
    for (const timer of this.#deadlines) clearTimeout(timer);
    this.#goodbyes.stop();
  }

  async #drain(): Promise<void> {
    // Do not wait for the close callbacks: the engines know better which connections are left.
    for (const server of this.#listeners) server.close();
    await this.#newcomers();
    this.#isLeaving = true;
    this.#leavingSince = this.#context.clock.monotonic();
    this.#general.leave();
    const others = Promise.all([this.#fast.close(), this.#http2.close()]);
    await this.#closeIdle();
    // The general engine comes last, because the others pass requests to it.
    await others;
    await this.#general.close();
    this.#detachTls();
  }

  /** Closes idle connections after the notice, once it has read what arrived until then: on a busy machine, much. */
  async #closeIdle(): Promise<void> {
    const { clock } = this.#context;
    if (!this.#isLeaving || this.#isPatient) return;
    while (this.#open.size > 0 && clock.monotonic() - this.#leavingSince < this.#noticeMs) await sleep(LOOK_MS);
    // The event loop polls for readable sockets between a timer and this.
    await nextTurn();
    if (this.#isPatient) return;
    for (const engine of [this.#general, this.#fast]) engine.closeIdle();
  }

  #admit(socket: Socket, kind: ListenerKind): void {
    const address = plainAddress(socket.remoteAddress ?? '');
    const isSender = this.#trusted.has(address);
    const counted = isSender ? null : address;
    if (!this.#caps.admit(counted)) {
      socket.destroy();
      return;
    }
    this.#opened(socket, counted);
    if (this.#settings.proxyProtocol && isSender) {
      readProxied(socket, this.#context.timeouts, (client) => this.#beginNamed(socket, kind, client));
    } else this.#begin(socket, kind, null);
  }

  /** @param client null: the sender speaks for itself, as in a health check */
  #beginNamed(socket: Socket, kind: ListenerKind, client: string | null): void {
    if (client !== null && !this.#caps.name(client)) {
      socket.destroy();
      return;
    }
    if (client !== null) socket.on('close', () => this.#caps.unname(client));
    this.#begin(socket, kind, client);
  }

  #opened(socket: Socket, address: string | null): void {
    this.#open.set(socket, this.#context.clock.monotonic());
    socket.on('close', () => {
      this.#open.delete(socket);
      this.#caps.left(address);
    });
  }

  /**
   * A new connection's first request is on its way: its client could not know that we are about to leave. Resolves when
   * there is no such connection, or after a while, because browsers also open connections in advance.
   */
  async #newcomers(): Promise<void> {
    const { clock, timeouts } = this.#context;
    const startedAt = clock.monotonic();
    const isNew = ([socket, since]: readonly [Socket, number]): boolean =>
      // With TLS the first bytes are not a request yet; that follows within the notice.
      since > startedAt - timeouts.closeMs && (socket.bytesRead === 0 || this.#shaking.has(endOf(socket)));
    while (clock.monotonic() - startedAt < timeouts.closeMs && [...this.#open].some(isNew)) await sleep(LOOK_MS);
  }

  /** @param client according to the sender in front; null: the socket's own peer */
  #begin(socket: Socket, kind: ListenerKind, client: string | null): void {
    if (kind === 'http') {
      this.#serve(socket, { address: client ?? plainAddress(socket.remoteAddress ?? ''), secure: false });
      return;
    }
    const end = endOf(socket);
    if (client !== null) this.#named.set(end, client);
    this.#shaking.add(end);
    socket.once('close', () => {
      this.#named.delete(end);
      this.#shaking.delete(end);
    });
    this.#tls?.emit('connection', socket);
  }

  #secured(socket: TLSSocket): void {
    this.#shaking.delete(endOf(socket));
    const address = this.#named.get(endOf(socket)) ?? plainAddress(socket.remoteAddress ?? '');
    const trusted = this.#trusted.has(address) ? this.#trusted : null;
    if (socket.alpnProtocol === 'h2') this.#http2.accept(socket, { address, secure: true, trusted });
    else this.#serve(socket, { address, secure: true });
  }

  /** Serves HTTP/1.1 on a plain or decrypted stream. */
  #serve(socket: Socket, client: Client): void {
    if (this.#settings.engine === 'fast') this.#fast.accept(socket, client);
    else {
      this.#general.accept(socket, client);
      // readProxied leaves the socket paused.
      if (socket.isPaused()) socket.resume();
    }
  }
}

/** The remote end of a connection; unique while it is open. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
