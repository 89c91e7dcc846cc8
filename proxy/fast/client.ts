/**
 * A client's connection that speaks HTTP/1.1: it finds the requests in what it reads, and has them exchanged one after the
 * other. What is not for the fast engine goes on as a plain stream in the general one.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Timeouts } from '../config.ts';
import type { Context } from '../engine/context.ts';
import { isTooSlow } from '../http/body-rate.ts';
import type { DateLine } from '../http/date-line.ts';
import type { RequestIds } from '../http/request-ids.ts';
import { Outlet } from '../net/outlet.ts';
import type { Wire } from '../net/outlet.ts';
import { resetConnection } from '../net/reset.ts';
import type { AddressRanges } from '../policy/allow-list.ts';
import type { Client } from '../policy/client-address.ts';
import type { Pools } from '../target/pool.ts';
import { FastExchange, HAND_OVER } from './exchange.ts';
import { HandedOver } from './handed-over.ts';
import type { RequestHead } from './head.ts';
import { Tunnel } from './tunnel.ts';

/** Bytes kept that came behind the request that is being answered; when there are more, nothing more is read. */
const QUEUE_BYTES = 16_384;
const EMPTY = Buffer.alloc(0);

/** What all connections of an engine share. */
export interface Shared {
  readonly context: Context;
  readonly pools: Pools;
  readonly head: RequestHead;
  readonly ids: RequestIds;
  readonly date: DateLine;
  /** Peers that are believed when they say for whom they ask. */
  readonly trusted: AddressRanges;
  /** True while the proxy drains: each answer that begins now is the last one of its connection, and says so. */
  readonly closing: boolean;
  /** True when it does so in haste: a connection is closed after its answer also when that could not say so. */
  readonly closesIdle: boolean;
  /** Has what is read of a connection given to `read`, valid during the call; false: no more until it is resumed. */
  listen(socket: Socket, read: (bytes: Buffer, start: number, end: number) => boolean): void;
  /** Goes on with a connection in the general engine. */
  handOver(stream: HandedOver, peer: Client): void;
  /** The head of a request did not come in time. */
  late(client: ClientConnection): void;
  closed(client: ClientConnection): void;
}

/**
 * `handed`: the general engine has it. `tied`: it is one end of a tunnel. `leaving`: we said our last and wait for the
 * client's end.
 */
type State = 'open' | 'handed' | 'tied' | 'leaving';

export class ClientConnection {
  readonly peer: Client;
  /** The peer is a trusted one. */
  readonly speaksForOthers: boolean;
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #exchange: FastExchange;
  readonly #outlet: Outlet;
  #state: State = 'open';
  #handed: HandedOver | null = null;
  #tunnel: Tunnel | null = null;
  /** What came of a head that is not complete. */
  #partial: Buffer | null = null;
  /** What came behind the request that is being answered. */
  #queued: Buffer | null = null;
  #consuming = false;
  #asked = false;
  #isHeadBegun = false;
  /** Coarse times, ms: since when this wait lasts, and the last sign of progress in it. */
  #since: number;
  #progress: number;
  /** Bytes that waited for a slow reader when it was last looked at. */
  #queuedBytes = 0;

  /**
   * @param socket whose reads are given to {@link ClientConnection.read}
   * @param peer the client at its other end
   */
  constructor(socket: Socket, peer: Client, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    this.peer = peer;
    this.speaksForOthers = shared.trusted.has(peer.address);
    this.#exchange = new FastExchange(this, shared);
    this.#outlet = new Outlet(socket, () => this.#exchange.flushed());
    if (!(socket instanceof TLSSocket)) this.#outlet.open();
    this.#since = shared.pools.now;
    this.#progress = this.#since;
    // Its `close` follows, and is all that counts.
    socket.on('error', () => undefined);
    // Not `once`: each event comes once, and that would keep three objects more for as long as the connection is open.
    // A client that ends its side while it is owed an answer has left, as node:http and nginx see it too.
    socket.on('end', () => this.#state !== 'handed' && this.#state !== 'tied' && socket.destroy());
    socket.on('close', () => this.#closed());
  }

  /**
   * Bytes of a read, valid only during the call, with room for one more at `end` where the buffer is larger.
   * @returns false to read no more for now
   */
  read(bytes: Buffer, start: number, end: number): boolean {
    if (this.#state === 'handed') return this.#handed?.feed(bytes.subarray(start, end)) ?? true;
    if (this.#state === 'tied') return this.#tunnel?.fromClient(bytes, start, end) ?? true;
    if (this.#state === 'leaving') return true;
    if (this.#queued !== null) return this.#enqueue(this.#queued, bytes, start, end);
    this.#progress = this.#shared.pools.now;
    if (this.#partial === null) {
      bytes[end] = 0;
      return this.#consume(bytes, start, end);
    }
    const all = Buffer.concat([this.#partial, bytes.subarray(start, end), Buffer.alloc(1)]);
    this.#partial = null;
    return this.#consume(all, 0, all.length - 1);
  }

  /** @returns false while the kernel has not taken all of it; the exchange is told when it has */
  write(bytes: Buffer, start: number, end: number): boolean {
    const isTaken = this.#outlet.write(bytes, start, end);
    if (!isTaken) this.#progress = this.#shared.pools.now;
    return isTaken;
  }

  /** The exchange takes more of the request's body. */
  resume(): void {
    if (this.#queued === null) this.#socket.resume();
  }

  /** The exchange is over. @param close no other may follow on this connection */
  next(close: boolean): void {
    if (this.#state !== 'open') return;
    this.#since = this.#shared.pools.now;
    this.#progress = this.#since;
    // A client that was not told may have sent its next request already, which would be lost with the connection.
    if (close || this.#shared.closesIdle) this.#leave();
    else if (this.#queued !== null && !this.#consuming) this.#unqueue(this.#queued);
    // The target took no more of the body for a while, and never will now.
    else if (!this.#exchange.goesOn) this.resume();
  }

  /**
   * The connection is one end of a tunnel from here on, and what came early for it is passed on.
   * @param target the other end
   * @param closed is called when both ends are closed
   */
  tie(target: Wire, idleMs: number, closed: () => void): Tunnel {
    const { pools: clock, context } = this.#shared;
    const { closeMs, clientStallMs: stallMs } = context.timeouts;
    const times = { clock, idleMs, closeMs, stallMs };
    const tunnel = new Tunnel({ socket: this.#socket, outlet: this.#outlet }, target, times, () => {
      closed();
      this.#shared.closed(this);
    });
    this.#state = 'tied';
    this.#tunnel = tunnel;
    target.socket.on('error', () => undefined);
    this.#shared.listen(target.socket, (bytes, start, end) => tunnel.fromTarget(bytes, start, end));
    const early = this.#queued ?? EMPTY;
    this.#queued = null;
    if (tunnel.fromClient(early, 0, early.length)) this.#socket.resume();
    return tunnel;
  }

  /** @param reset true: where a plain end could be taken for the end of an answer */
  destroy(reset: boolean): void {
    if (this.#tunnel !== null) {
      this.#tunnel.destroy();
      return;
    }
    this.#state = 'leaving';
    if (reset) resetConnection(this.#socket);
    else this.#socket.destroy();
  }

  /** Closes it when it is between two requests. */
  closeIdle(): void {
    if (this.#state === 'open' && this.#exchange.isIdle) this.#endIdle();
  }

  /** For the sweep. @param now coarse, ms */
  check(now: number): void {
    const { timeouts } = this.#shared.context;
    if (this.#state === 'handed') return;
    if (this.#tunnel !== null) this.#tunnel.check(now);
    else if (this.#state === 'leaving') this.#checkLeaving(now, timeouts);
    else if (!this.#exchange.isIdle) this.#checkExchange(now, timeouts);
    else if (this.#partial !== null || !this.#asked) {
      if (now - this.#since >= timeouts.clientHeadMs) this.#shared.late(this);
    } else if (now - this.#since >= timeouts.clientIdleMs) this.#endIdle();
  }

  /** Says the last word on a connection whose request is not understood or does not come. */
  refuse(page: string): void {
    this.#socket.write(page);
    this.#leave();
  }

  #checkExchange(now: number, { clientStallMs, bodyGraceMs }: Timeouts): void {
    const isReading = !this.#exchange.hasBody && this.#exchange.goesOn;
    if (!isReading && !this.#outlet.isPending) return;
    const { queued } = this.#outlet;
    if (queued !== this.#queuedBytes) this.#progress = now;
    this.#queuedBytes = queued;
    // With an answer on its way the two may be a conversation: then silence is what counts.
    const isSlow =
      isReading && this.#exchange.isAsking && isTooSlow(this.#exchange.bytesIn, now - this.#since, bodyGraceMs);
    if (isSlow || now - this.#progress >= clientStallMs) this.#exchange.stalled();
  }

  /** What we said last may still be on its way to a slow reader: the time for the client's own end begins when it is taken. */
  #checkLeaving(now: number, { clientStallMs, closeMs }: Timeouts): void {
    const { queued, isEmpty } = this.#outlet;
    if (queued !== this.#queuedBytes) this.#since = now;
    this.#queuedBytes = queued;
    if (now - this.#since >= (isEmpty ? closeMs : clientStallMs)) this.#socket.destroy();
  }

  #consume(bytes: Buffer, start: number, end: number): boolean {
    this.#consuming = true;
    let at = start;
    while (at < end && this.#state === 'open') {
      if (this.#exchange.isIdle) at = this.#takeHead(bytes, at, end);
      else if (!this.#exchange.hasBody) at = this.#exchange.take(bytes, at, end);
      else {
        // Pipelined: its turn comes.
        this.#enqueue(EMPTY, bytes, at, end);
        break;
      }
    }
    this.#consuming = false;
    return this.#queued === null ? this.#exchange.isIdle || this.#exchange.goesOn : this.#queued.length < QUEUE_BYTES;
  }

  /** Reading goes on for a while, since the end of a client that leaves comes behind what it has sent. */
  #enqueue(queued: Buffer, bytes: Buffer, start: number, end: number): boolean {
    this.#queued = Buffer.concat([queued, bytes.subarray(start, end)]);
    return this.#queued.length < QUEUE_BYTES;
  }

  /** @returns the offset after what was read */
  #takeHead(bytes: Buffer, at: number, end: number): number {
    const { head, context } = this.#shared;
    const verdict = head.read(bytes, at, end, context.limits.headBytes);
    if (verdict === 'more') {
      this.#partial = Buffer.from(bytes.subarray(at, end));
      // The time of a head begins with its first byte, or with the connection.
      if (this.#asked && !this.#isHeadBegun) this.#since = this.#shared.pools.now;
      this.#isHeadBegun = true;
      return end;
    }
    this.#asked = true;
    this.#isHeadBegun = false;
    this.#since = this.#shared.pools.now;
    const after = verdict === 'fast' ? this.#exchange.begin(bytes, head, end) : HAND_OVER;
    if (after !== HAND_OVER) return after;
    this.#handOver(Buffer.from(bytes.subarray(at, end)));
    return end;
  }

  #unqueue(queued: Buffer): void {
    this.#queued = null;
    const bytes = Buffer.concat([queued, Buffer.alloc(1)]);
    if (this.#consume(bytes, 0, queued.length) && this.#state === 'open') this.#socket.resume();
  }

  #handOver(bytes: Buffer): void {
    this.#state = 'handed';
    this.#handed = new HandedOver(this.#socket, bytes);
    this.#shared.handOver(this.#handed, this.peer);
  }

  /** Its last answer may not have gone out in full. */
  #endIdle(): void {
    if (this.#outlet.isEmpty) this.#socket.destroy();
    else this.#leave();
  }

  /** FIN, and what the client still sends is read and dropped: unread bytes would turn it into a reset. */
  #leave(): void {
    this.#state = 'leaving';
    this.#since = this.#shared.pools.now;
    this.#queued = null;
    this.#socket.end();
    this.#socket.resume();
  }

  #closed(): void {
    // The tunnel tells when its other end is closed, too.
    if (this.#tunnel !== null) return;
    // What waits behind the request is not begun: nobody would read the answer.
    this.#state = 'leaving';
    this.#exchange.abandon();
    this.#shared.closed(this);
  }
}
