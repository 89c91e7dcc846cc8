/** The fast engine of a process and its connections. */
import type { Socket } from 'node:net';
import type { Acceptor, Context } from '../engine/context.ts';
import { unreadRequest } from '../engine/unread.ts';
import { DateLine } from '../http/date-line.ts';
import { CLIENT_TIMEOUT, rawPage } from '../http/pages.ts';
import { RequestIds } from '../http/request-ids.ts';
import { mappedBuffer } from '../mapped-buffer.ts';
import { SharedReads } from '../net/reads.ts';
import type { AddressRanges } from '../policy/allow-list.ts';
import type { Client } from '../policy/client-address.ts';
import { Pools } from '../target/pool.ts';
import { ClientConnection } from './client.ts';
import type { Shared } from './client.ts';
import type { HandedOver } from './handed-over.ts';
import { RequestHead } from './head.ts';

/** Size of the read buffer, bytes. All client connections share it, so whatever outlives a read must be copied. */
const READ_BYTES = 65_536;

export class FastEngine implements Shared {
  readonly context: Context;
  readonly trusted: AddressRanges;
  readonly pools: Pools;
  readonly head = new RequestHead();
  readonly ids = new RequestIds();
  readonly date: DateLine;
  closing = false;
  closesIdle = false;
  readonly #general: Acceptor;
  /** One octet longer than a read: the parsers expect a NUL behind the last byte. */
  readonly #in = mappedBuffer(READ_BYTES + 1);
  readonly #reads: SharedReads;
  readonly #clients = new Set<ClientConnection>();
  #whenEmpty: (() => void) | null = null;

  constructor(context: Context, trusted: AddressRanges, general: Acceptor, pools: Pools) {
    this.context = context;
    this.date = new DateLine(context.clock);
    this.trusted = trusted;
    this.pools = pools;
    this.#general = general;
    this.#reads = new SharedReads(this.#in.subarray(0, READ_BYTES));
    pools.pulse.watch(this.#clients, (client) => client.check(pools.now));
  }

  /**
   * @param socket a paused TCP socket, or a TLS socket after its handshake; bytes that it has buffered are consumed
   *   first
   */
  accept(socket: Socket, peer: Client): void {
    this.pools.pulse.wake();
    const client = new ClientConnection(socket, peer, this);
    this.#clients.add(client);
    const begun = socket.read() as Buffer | null;
    this.#reads.attach(socket, (length) => client.read(this.#in, 0, length));
    if (begun === null || client.read(begun, 0, begun.length)) socket.resume();
  }

  listen(socket: Socket, read: (bytes: Buffer, start: number, end: number) => boolean): void {
    this.#reads.attach(socket, (length) => read(this.#in, 0, length));
  }

  handOver(stream: HandedOver, peer: Client): void {
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

  /** Number of open connections. */
  get connections(): number {
    return this.#clients.size;
  }

  /**
   * Makes every response that begins from now on the last one on its connection. Resolves when no connection is left.
   */
  async close(): Promise<void> {
    this.closing = true;
    if (this.#clients.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
    this.pools.close();
  }

  /** Closes the connections that are idle between two requests now, and the others as soon as they become idle. */
  closeIdle(): void {
    this.closesIdle = true;
    for (const client of this.#clients) client.closeIdle();
  }

  destroy(): void {
    for (const client of this.#clients) client.destroy(false);
  }
}
