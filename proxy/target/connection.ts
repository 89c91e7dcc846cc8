/**
 * A connection to a target and the call on it. Bytes read are passed to the sink uncopied; while the sink's client is
 * behind, the connection does not read.
 */
import { chunk, lastChunk } from '../http/chunked.ts';
import { MORE } from '../http/fields.ts';
import { isForwardedInterim, MAX_INTERIM } from '../http/interim.ts';
import { Gathered } from '../net/gathered.ts';
import { Outlet } from '../net/outlet.ts';
import type { Target } from '../upstream/target.ts';
import { AnswerBody } from './answer-body.ts';
import type { Call, CallFailure, CallRequest, CallSink } from './call.ts';
import { KeptHead } from './kept-head.ts';
import type { ConnectionOwner } from './owner.ts';
import { HEADROOM, Reads } from './read-buffers.ts';
import type { ResponseHead } from './response-head.ts';
import { TargetSocket } from './socket.ts';

/** Limit of a response head, bytes; node:http has the same. */
const MAX_HEAD_BYTES = 16_384;

/** `idle`: in the pool. `head`, `body`: the part of the response that is awaited. */
type State = 'idle' | 'head' | 'body' | 'closed';

export class TargetConnection implements Call {
  readonly target: Target;
  readonly #owner: ConnectionOwner;
  readonly #body = new AnswerBody();
  #socket: TargetSocket;
  #outlet: Outlet;
  #reads: Reads;
  #state: State = 'idle';
  #request: CallRequest | null = null;
  #sink: CallSink | null = null;
  /** The head for the one retry; empty when the request must not be retried. */
  readonly #kept = new KeptHead();
  /** Bytes to send once the target has taken what is queued on the socket. */
  #behind = new Gathered();
  /** The bytes of an incomplete response head. */
  #partial: Buffer | null = null;
  #interim = 0;
  /** Whether the last response head lets the connection be reused. */
  #keepAlive = false;
  #requestDone = false;
  #isReused = false;
  #isOpen = true;
  #isConnecting = true;
  #error: NodeJS.ErrnoException | null = null;
  /** Coarse monotonic time at which the present wait times out; Infinity: nothing is awaited. */
  #deadline = Infinity;
  /** Coarse monotonic time since when the connection is idle. */
  idleSince = 0;
  /** How long the connection may stay idle before it is closed, ms. */
  keepAliveMs: number;

  constructor(target: Target, owner: ConnectionOwner) {
    this.target = target;
    this.#owner = owner;
    this.keepAliveMs = owner.timeouts.poolIdleMs;
    this.#reads = new Reads(owner.buffers);
    this.#socket = this.#connect();
    this.#outlet = this.#outletOf(this.#socket);
  }

  /** Sends a request. The connection must be idle or new. */
  start(request: CallRequest, sink: CallSink, isReused: boolean): void {
    this.#request = request;
    this.#sink = sink;
    this.#state = 'head';
    this.#isReused = isReused;
    this.#partial = null;
    this.#interim = 0;
    this.#error = null;
    this.#requestDone = request.framing === 'none';
    // When a request without a body cannot be written, the target had closed the idle connection, and what it sent
    // before is no response to it. The request is retried instead.
    this.#socket.isHeardOut = !this.#requestDone;
    this.#keepForRetry(request, isReused);
    this.#deadline = this.#owner.now + (this.#isConnecting ? this.#owner.timeouts.connectMs : request.responseHeadMs);
    this.#send(request.head);
  }

  write(bytes: Buffer): boolean {
    if (this.#sink === null || bytes.length === 0 || this.#socket.isLost) return true;
    if (this.#state === 'head') this.#awaitHead();
    return this.#send(this.#request?.framing === 'chunked' ? chunk(bytes) : bytes);
  }

  end(trailers: readonly string[] = []): void {
    if (this.#sink === null || this.#requestDone || this.#socket.isLost) return;
    this.#requestDone = true;
    if (this.#state === 'head') this.#awaitHead();
    if (this.#request?.framing === 'chunked') this.#send(lastChunk(trailers));
  }

  unsent(): Buffer | null {
    return this.#kept.isEmpty ? null : this.#kept.bytes;
  }

  get isBetweenChunks(): boolean {
    return this.#state === 'body' && this.#body.isBetweenChunks;
  }

  /** False as soon as the connection's end is known, even before its `close` event. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  resume(): void {
    if (this.#sink === null) return;
    this.#awaitBody();
    this.#reads.release();
    this.#socket.resume();
  }

  abort(): void {
    this.#sink = null;
    this.destroy();
  }

  destroy(): void {
    this.#isOpen = false;
    this.#reads.release();
    this.#socket.destroy();
  }

  /** Enforces the time limits; called by the sweep. @param now coarse monotonic time, ms */
  check(now: number): void {
    if (this.#state === 'idle' && now - this.idleSince >= this.keepAliveMs) this.destroy();
    else if (now >= this.#deadline)
      this.#fail(this.#isConnecting ? 'connect-timeout' : 'timeout', 'no progress in time');
  }

  #connect(): TargetSocket {
    const reads = this.#reads;
    const options = {
      // The types demand a buffer each time; node takes null for "the same as before".
      buffer: () => reads.take() as Buffer,
      callback: (bytes: number) => this.#socket === socket && this.#read(bytes),
    };
    const socket = new TargetSocket({ onread: options });
    socket.setNoDelay(true);
    this.#isConnecting = true;
    socket.on('error', this.#failed).on('end', this.#ended).on('close', this.#closed);
    socket.once('connect', () => {
      if (this.#socket !== socket) return;
      this.#isConnecting = false;
      this.#outlet.open();
      this.#awaitHead();
    });
    socket.connect({ host: this.target.address, port: this.target.port });
    return socket;
  }

  #outletOf(socket: TargetSocket): Outlet {
    const flushed = (): unknown => this.#socket === socket && this.#flushed();
    return new Outlet(socket, flushed, (error) => socket.lose(error));
  }

  #awaitHead(): void {
    // Connecting has a time limit of its own.
    if (this.#request && !this.#isConnecting) this.#deadline = this.#owner.now + this.#request.responseHeadMs;
  }

  #awaitBody(): void {
    if (this.#request && this.#sink && this.#state !== 'head') this.#deadline = this.#owner.now + this.#request.idleMs;
  }

  /** Keeps a copy of a request without a body, to retry it on another connection. */
  #keepForRetry({ head, framing, idempotent }: CallRequest, isReused: boolean): void {
    this.#kept.forget();
    // On a new connection the copy is for another target, in case this one refuses.
    if (framing !== 'none' || (isReused && !idempotent)) return;
    this.#kept.keep(head);
  }

  #send(bytes: Buffer): boolean {
    if (!this.#outlet.isPending) return this.#outlet.write(bytes, 0, bytes.length);
    this.#behind.add(bytes);
    return false;
  }

  /** The target has taken what was queued on the socket. */
  #flushed(): void {
    const bytes = this.#behind.take();
    if (bytes.length === 0 || this.#socket.isLost || this.#outlet.write(bytes, 0, bytes.length)) this.#sink?.drain();
  }

  /** @returns false to pause reading */
  #read(nread: number): boolean {
    const start = HEADROOM;
    const end = HEADROOM + nread;
    if (this.#sink === null) {
      // Unsolicited bytes on an idle connection would be read as the response to its next request.
      this.destroy();
      return false;
    }
    const { bytes } = this.#reads;
    bytes[end] = 0;
    const goesOn = this.#partial === null ? this.#take(bytes, start, end) : this.#readOn(this.#partial, start, end);
    if (goesOn && this.#request?.bulk === true) this.#reads.passed(nread, this.#body.left);
    if (goesOn) return true;
    // While the client is behind, the target is not the one that is silent.
    this.#deadline = Infinity;
    this.#reads.shrink();
    return false;
  }

  /** Continues an incomplete head. */
  #readOn(partial: Buffer, start: number, end: number): boolean {
    this.#partial = null;
    const all = Buffer.concat([partial, this.#reads.bytes.subarray(start, end), Buffer.alloc(1)]);
    return this.#take(all, HEADROOM, all.length - 1);
  }

  #take(bytes: Buffer, start: number, end: number): boolean {
    const at = this.#state === 'head' ? this.#takeHead(bytes, start, end) : start;
    if (at < 0) return true;
    const goesOn = this.#takeBody(bytes, at, end);
    // The connection may carry its next call by now.
    return (this.#sink?.flush() ?? true) && goesOn;
  }

  /** @returns the offset after the head of the final response, or -1 while there is none */
  #takeHead(bytes: Buffer, start: number, end: number): number {
    const { head } = this.#owner;
    const request = this.#request as CallRequest;
    let at = start;
    for (;;) {
      const after = head.read(bytes, at, end, request.isHead, request.switched !== null);
      if (after === MORE && end - at <= MAX_HEAD_BYTES) {
        // The sink needs the headroom in front of the head.
        this.#partial = Buffer.concat([this.#reads.bytes.subarray(0, HEADROOM), bytes.subarray(at, end)]);
        return -1;
      }
      if (after < 0 || after - at > MAX_HEAD_BYTES)
        return this.#malformed('the head of the answer is not valid HTTP/1.1');
      at = after;
      if (request.switched !== null && head.status === 101) return this.#giveAway(request.switched, head, end);
      if (!head.isInterim) break;
      this.#interim += 1;
      if (this.#interim > MAX_INTERIM) return this.#malformed('too many interim answers');
      if (isForwardedInterim(head.status)) this.#sink?.information(head);
    }
    this.#state = 'body';
    this.#body.begin(head, request.raw);
    this.#keepAlive = head.keepAlive;
    if (head.keepAliveMs > 0) this.keepAliveMs = Math.max(0, head.keepAliveMs - 1000);
    this.#sink?.head(head);
    return at;
  }

  #takeBody(bytes: Buffer, start: number, end: number): boolean {
    if (this.#sink === null) return true;
    this.#awaitBody();
    const body = this.#body;
    const at = body.take(bytes, start, end, this);
    // The sink may have aborted the call meanwhile.
    if (this.#sink === null) return body.goesOn;
    if (body.fault !== null) this.#malformed(body.fault);
    else if (body.done) this.#complete(at, end);
    else return body.goesOn;
    return true;
  }

  /** Receives body bytes from {@link AnswerBody}. */
  give(bytes: Buffer, start: number, end: number): boolean {
    return this.#sink?.body(bytes, start, end) ?? true;
  }

  /** The response is complete. @param at where it ended in the bytes of this read */
  #complete(at: number, end: number): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#deadline = Infinity;
    // A connection with bytes behind the response, or with an incomplete request, is in no state for another request.
    const isSent = this.#requestDone && !this.#outlet.isPending && !this.#socket.isLost;
    const isReusable = at === end && this.#keepAlive && isSent;
    sink?.end(this.#body.trailers);
    this.#request = null;
    this.#state = isReusable ? 'idle' : 'closed';
    if (isReusable) this.#owner.idle(this);
    else this.destroy();
  }

  /** Hands the connection over to the WebSocket tunnel. */
  #giveAway(to: NonNullable<CallRequest['switched']>, head: ResponseHead, end: number): -1 {
    const wire = { socket: this.#socket, outlet: this.#outlet };
    wire.socket.off('error', this.#failed).off('end', this.#ended).off('close', this.#closed);
    this.#reads.release();
    this.#sink = null;
    this.#request = null;
    this.#deadline = Infinity;
    this.#isOpen = false;
    this.#state = 'closed';
    this.#owner.closed(this);
    to(wire, head, end);
    return -1;
  }

  readonly #failed = (error: NodeJS.ErrnoException): void => {
    this.#error = error;
    this.#isOpen = false;
  };

  readonly #ended = (): void => {
    this.#isOpen = false;
    if (this.#sink !== null && this.#state === 'body' && this.#body.framing === 'close') this.#complete(0, 0);
    else this.destroy();
  };

  readonly #closed = (): void => {
    this.#reads.release();
    const error = this.#error;
    if (this.#sink !== null && this.#mayRetry()) {
      this.#again();
      return;
    }
    if (this.#sink !== null) {
      const isRefused = error?.syscall === 'connect';
      this.#fail(isRefused ? 'refused' : 'broken', error ?? 'the connection was closed');
    }
    this.#state = 'closed';
    this.#owner.closed(this);
  };

  /** True when the target may have closed its idle connection just as we wrote to it (RFC 9112 section 9.3.1). */
  #mayRetry(): boolean {
    return (
      this.#isReused && this.#state === 'head' && this.#partial === null && this.#interim === 0 && !this.#kept.isEmpty
    );
  }

  #again(): void {
    this.#isReused = false;
    this.#isOpen = true;
    this.#error = null;
    this.#reads = new Reads(this.#owner.buffers);
    this.#behind = new Gathered();
    this.#socket = this.#connect();
    this.#outlet = this.#outletOf(this.#socket);
    this.#deadline = this.#owner.now + this.#owner.timeouts.connectMs;
    this.#send(this.#kept.bytes);
  }

  #malformed(why: string): -1 {
    this.#fail('malformed', why);
    return -1;
  }

  #fail(reason: CallFailure, cause: unknown): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#deadline = Infinity;
    this.destroy();
    sink?.failed(reason, cause);
  }
}
