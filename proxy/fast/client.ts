/**
 * A client's HTTP/1.1 connection: parses the requests from what it reads and runs one exchange after the other. A
 * connection whose request the fast engine does not serve continues as a plain stream in the general engine.
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

/** Bytes queued behind the request in progress before the connection stops reading. */
const QUEUE_BYTES = 16_384;
const EMPTY = Buffer.alloc(0);

/** Shared by all connections of an engine. */
export interface Shared {
  readonly context: Context;
  readonly pools: Pools;
  readonly head: RequestHead;
  readonly ids: RequestIds;
  readonly date: DateLine;
  /** Peers whose claims about the client behind them are believed. */
  readonly trusted: AddressRanges;
  /** True while the proxy drains: each response that begins now is the last one on its connection, and says so. */
  readonly closing: boolean;
  /** True when a draining proxy also closes connections whose last response could not say `Connection: close`. */
  readonly closesIdle: boolean;
  /**
   * Passes everything read from a socket to `read`. The bytes are valid during the call; false pauses until `resume`.
   */
  listen(socket: Socket, read: (bytes: Buffer, start: number, end: number) => boolean): void;
  /** Continues a connection in the general engine. */
  handOver(stream: HandedOver, peer: Client): void;
  /** The head of a request did not arrive in time. */
  late(client: ClientConnection): void;
  closed(client: ClientConnection): void;
}

/**
 * `handed`: the general engine owns the connection. `tied`: it is one end of a tunnel. `leaving`: the last response was
 * written and the client's FIN is awaited.
 */
type State = 'open' | 'handed' | 'tied' | 'leaving';

export class ClientConnection {
  readonly peer: Client;
  /** True when the peer is a trusted proxy. */
  readonly speaksForOthers: boolean;
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #exchange: FastExchange;
  readonly #outlet: Outlet;
  #state: State = 'open';
  #handed: HandedOver | null = null;
  #tunnel: Tunnel | null = null;
  /** The bytes of an incomplete request head. */
  #partial: Buffer | null = null;
  /** Bytes received behind the request in progress. */
  #queued: Buffer | null = null;
  #consuming = false;
  #asked = false;
  #isHeadBegun = false;
  /** Coarse monotonic times, ms: the start of the present wait, and the last progress in it. */
  #since: number;
  #progress: number;
  /** Bytes queued for a slow reader at the last check. */
  #queuedBytes = 0;

  /**
   * @param socket its reads arrive through {@link ClientConnection.read}
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
    // `close` follows, and is handled.
    socket.on('error', () => undefined);
    // Not `once`: each event fires only once anyway, and `once` would keep three more objects while the connection is
    // open. A client that sends FIN before its response is complete counts as gone, as in node:http and nginx.
    socket.on('end', () => this.#state !== 'handed' && this.#state !== 'tied' && socket.destroy());
    socket.on('close', () => this.#closed());
  }

  /**
   * Consumes the bytes of one read, valid only during the call. If the buffer extends beyond `end`, the octet there is
   * overwritten by a NUL.
   * @returns false to pause reading
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

  /** @returns false while the kernel has not taken everything; the exchange is notified when it has */
  write(bytes: Buffer, start: number, end: number): boolean {
    const isTaken = this.#outlet.write(bytes, start, end);
    if (!isTaken) this.#progress = this.#shared.pools.now;
    return isTaken;
  }

  /** The exchange accepts more of the request body. */
  resume(): void {
    if (this.#queued === null) this.#socket.resume();
  }

  /** The exchange is over. @param close true: the connection must not carry another request */
  next(close: boolean): void {
    if (this.#state !== 'open') return;
    this.#since = this.#shared.pools.now;
    this.#progress = this.#since;
    // Without `Connection: close` the client may have sent its next request, which closing now loses: only in haste.
    if (close || this.#shared.closesIdle) this.#leave();
    else if (this.#queued !== null && !this.#consuming) this.#unqueue(this.#queued);
    // The target's back-pressure had paused reading, and no `drain` will follow now.
    else if (!this.#exchange.goesOn) this.resume();
  }

  /**
   * Makes the connection one end of a tunnel and forwards the bytes received early.
   * @param target the other end
   * @param closed called when both ends are closed
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

  /** @param reset true: send RST, where the client could take a FIN for the end of the response */
  destroy(reset: boolean): void {
    if (this.#tunnel !== null) {
      this.#tunnel.destroy();
      return;
    }
    this.#state = 'leaving';
    if (reset) resetConnection(this.#socket);
    else this.#socket.destroy();
  }

  /** Closes the connection if it is idle between two requests. */
  closeIdle(): void {
    if (this.#state === 'open' && this.#exchange.isIdle) this.#endIdle();
  }

  /** Enforces the time limits; called by the sweep. @param now coarse monotonic time, ms */
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

  /** Sends a last error page and closes the connection. */
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
    // Once the response has begun, client and app may be in a dialogue, so only silence counts as too slow.
    const isSlow =
      isReading && this.#exchange.isAsking && isTooSlow(this.#exchange.bytesIn, now - this.#since, bodyGraceMs);
    if (isSlow || now - this.#progress >= clientStallMs) this.#exchange.stalled();
  }

  /** The last response may still be draining to a slow reader: `closeMs` for the client's FIN starts after that. */
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
        // Pipelined: it waits for its turn.
        this.#enqueue(EMPTY, bytes, at, end);
        break;
      }
    }
    this.#consuming = false;
    return this.#queued === null ? this.#exchange.isIdle || this.#exchange.goesOn : this.#queued.length < QUEUE_BYTES;
  }

  /** Reads on up to a limit: the FIN of a client that leaves arrives behind the bytes that it sent. */
  #enqueue(queued: Buffer, bytes: Buffer, start: number, end: number): boolean {
    this.#queued = Buffer.concat([queued, bytes.subarray(start, end)]);
    return this.#queued.length < QUEUE_BYTES;
  }

  /** @returns the offset after the consumed bytes */
  #takeHead(bytes: Buffer, at: number, end: number): number {
    const { head, context } = this.#shared;
    const verdict = head.read(bytes, at, end, context.limits.headBytes);
    if (verdict === 'more') {
      this.#partial = Buffer.from(bytes.subarray(at, end));
      // The time limit of a head starts at its first byte, or, for the first one, at the start of the connection.
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

  /** Destroys the connection, unless part of its last response is still queued. */
  #endIdle(): void {
    if (this.#outlet.isEmpty) this.#socket.destroy();
    else this.#leave();
  }

  /** Sends FIN, then reads and drops what the client still sends: unread bytes would turn the close into a reset. */
  #leave(): void {
    this.#state = 'leaving';
    this.#since = this.#shared.pools.now;
    this.#queued = null;
    this.#socket.end();
    this.#socket.resume();
  }

  #closed(): void {
    // The tunnel reports when its other end is closed, too.
    if (this.#tunnel !== null) return;
    // Queued requests are not started: nobody would read the responses.
    this.#state = 'leaving';
    this.#exchange.abandon();
    this.#shared.closed(this);
  }
}
