/** The fast engine of a process: its connections, and the sweep that holds them to their time limits. */
import { Socket } from 'node:net';
import type { Context } from '../context.ts';
import type { Client } from '../policy/client-address.ts';
import type { GeneralServer } from '../general/server.ts';
import { unreadRequest } from '../observe/unread.ts';
import { CLIENT_TIMEOUT, rawPage } from '../pages.ts';
import { ClientConnection } from './client.ts';
import type { Shared } from './client.ts';
import type { HandedOver } from './handed-over.ts';
import { RequestHead } from './head.ts';
import { Pools } from './pool.ts';
import { RequestIds } from './request-ids.ts';

/** Bytes of one read. All connections of clients share the buffer: what is kept of a read is copied. */
const READ_BYTES = 65_536;
/** How often time limits are looked at, ms; more often only where a limit is so short. */
const SWEEP_MS = 500;

export class FastEngine implements Shared {
  readonly context: Context;
  readonly pools: Pools;
  readonly head = new RequestHead();
  readonly ids = new RequestIds();
  closing = false;
  readonly #general: GeneralServer;
  /** One octet more than a read fills: the end of the bytes is marked there. */
  readonly #in = Buffer.allocUnsafeSlow(READ_BYTES + 1);
  readonly #readBuffer: Buffer;
  readonly #clients = new Set<ClientConnection>();
  readonly #timer: NodeJS.Timeout;
  #whenEmpty: (() => void) | null = null;

  constructor(context: Context, general: GeneralServer, pools: Pools) {
    this.context = context;
    this.pools = pools;
    this.#general = general;
    this.#readBuffer = this.#in.subarray(0, READ_BYTES);
    const shortest = Math.min(...Object.values(context.timeouts));
    this.#timer = setInterval(() => this.#sweep(), Math.max(10, Math.min(SWEEP_MS, shortest / 4))).unref();
  }

  /**
   * @param accepted a connection of a listener with `pauseOnConnect`
   * @param address of the client
   * @returns the connection that its handle goes on in
   */
  accept(accepted: Socket, address: string): Socket {
    // Reads into a buffer of ours are offered for connections that one opens, not for those that a server accepts; so the
    // accepted handle gets another Socket around it. `handle` is what net.Server itself passes, no documented option.
    const { _handle: handle } = accepted as unknown as { _handle: unknown };
    let client: ClientConnection | null = null;
    const onread = {
      buffer: this.#readBuffer,
      callback: (length: number) => client?.read(this.#in, 0, length) ?? false,
    };
    const options: object = { handle, onread, allowHalfOpen: true };
    const socket = new Socket(options);
    client = new ClientConnection(socket, { address, secure: false }, this);
    this.#clients.add(client);
    socket.resume();
    return socket;
  }

  /** @param socket whose bytes come as a stream: after a TLS handshake, or a PROXY protocol header */
  acceptStream(socket: Socket, peer: Client): void {
    const client = new ClientConnection(socket, peer, this);
    this.#clients.add(client);
    socket.on('data', (bytes: Buffer) => {
      if (!client.read(bytes, 0, bytes.length)) socket.pause();
    });
  }

  handOver(stream: HandedOver | Socket, peer: Client): void {
    this.#general.accept(stream, peer);
  }

  late(client: ClientConnection): void {
    client.refuse(rawPage(CLIENT_TIMEOUT));
    this.context.observer.unrouted(unreadRequest('fast', client.peer, CLIENT_TIMEOUT.status));
  }

  closed(client: ClientConnection): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) this.#whenEmpty?.();
  }

  /** Connections open now. */
  get connections(): number {
    return this.#clients.size;
  }

  /** Lets what is in flight finish. Resolves when no connection is left. */
  async close(): Promise<void> {
    this.closing = true;
    for (const client of this.#clients) client.closeIdle();
    if (this.#clients.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
    clearInterval(this.#timer);
    this.pools.close();
  }

  destroy(): void {
    for (const client of this.#clients) client.destroy(false);
  }

  #sweep(): void {
    this.pools.sweep();
    for (const client of this.#clients) client.check(this.pools.now);
  }
}
