/** One stream of a client's connection (RFC 9113 section 5): an incoming request and an outgoing response. */
import { CODE, DEFAULT_WINDOW, FLAG, MAX_FRAME_BYTES, MAX_WINDOW } from './wire/codes.ts';
import type { FieldBlock } from './wire/field-block.ts';
import type { FrameOutput } from './wire/frame-output.ts';

/** The consumer of a stream. All calls are synchronous; `closed` is the last one. */
export interface StreamSink {
  /** Bytes of the request body, valid only during the call. False: pause until {@link ServerStream.resume}. */
  data(bytes: Buffer, start: number, end: number): boolean;
  /** The request is complete. @param trailers all of them, unfiltered, as alternating names and values */
  ended(trailers: readonly string[]): void;
  /** Everything written was sent, after a write that returned false. */
  sent(): void;
  /** Called about once per second, for time limits. */
  tick(): void;
  /**
   * The stream is closed.
   * @param code of the RST_STREAM from either side that closed it; 0: request and response are complete
   */
  closed(code: number): void;
}

/** The interface of the connection to its streams. */
export interface StreamOwner {
  readonly output: FrameOutput;
  /** The block in which heads and trailers are built. */
  readonly block: FieldBlock;
  /** The octets of a body, at most `most`, that the connection can send now; 0 while other streams have their turn. */
  allowance(most: number): number;
  /** @param isCut there was more to send, but a window had no room for it */
  spend(octets: number, isCut: boolean): void;
  /**
   * The octets, at most `most`, by which the window of an upload may grow; the stream keeps them until it is closed.
   */
  lend(most: number): number;
  /** Queues a stream with data to send; the connection will call {@link ServerStream.sendNext}. */
  enqueue(stream: ServerStream): void;
  /** The client violated the protocol on this stream. */
  fault(stream: ServerStream, code: number): void;
  /** The stream is closed. @param byUs we have reset it, and the client does not know yet */
  closed(stream: ServerStream, byUs: boolean): void;
}

/** How long a client that has its response may go on sending its request, ms. */
const LINGER_MS = 200;
const EMPTY = Buffer.alloc(0);
const NOBODY: StreamSink = {
  data: () => true,
  ended: () => undefined,
  sent: () => undefined,
  tick: () => undefined,
  closed: () => undefined,
};

export class ServerStream {
  readonly id: number;
  /** Set as soon as the request is parsed. */
  sink: StreamSink = NOBODY;
  headersSent = false;
  isOpen = true;
  /** Octets of the response queued for the client. */
  waiting = 0;
  /** Octets of the response sent. */
  sent = 0;
  /** Declared length of the request body, octets; a body of another length is an error (RFC 9113 section 8.1.1). */
  expected: number | null = null;
  readonly #owner: StreamOwner;
  /** The client's flow-control window, octets. Negative after the client has reduced its initial window. */
  #window: number;
  #chunks: Buffer[] | null = null;
  /** Octets of the first chunk already sent. */
  #chunkAt = 0;
  #isEnding = false;
  #isEnded = false;
  #trailers: readonly string[] = [];
  /** Position of the response's last frame in the output. */
  #frameAt = -1;
  #isRequestEnded = false;
  /** Octets of the request body received, and octets that the frames so far have announced. */
  #received = 0;
  #announced = 0;
  /**
   * True when the body has its declared length but no END_STREAM yet. It may still turn out to be longer, and the
   * request malformed. So the last octet is held back until the end: the target must never have the whole body before.
   */
  #holdsBack = false;
  #heldBack: Buffer | null = null;
  /** The octets that the client may still send, and those received but not yet returned by WINDOW_UPDATE. */
  #credit = DEFAULT_WINDOW;
  #used = 0;
  /** Octets by which the receive window has grown. */
  lent = 0;
  #isPaused = false;
  #isDropping = false;
  #lingers: NodeJS.Timeout | null = null;

  /** @param window the client's initial window, octets */
  constructor(id: number, owner: StreamOwner, window: number) {
    this.id = id;
    this.#owner = owner;
    this.#window = window;
  }

  get isRequestEnded(): boolean {
    return this.#isRequestEnded;
  }

  // The response

  /** Sends the interim response in the block. */
  inform(block: FieldBlock): void {
    if (this.isOpen && !this.headersSent) this.#owner.output.headers(this.id, block, false);
  }

  /** Sends the response head in the block. */
  respond(block: FieldBlock): void {
    if (!this.isOpen || this.headersSent) return;
    this.headersSent = true;
    this.#frameAt = this.#owner.output.headers(this.id, block, false);
  }

  /** @returns false while some of it is queued; {@link StreamSink.sent} follows. The caller may reuse the bytes */
  write(bytes: Buffer, start: number, end: number): boolean {
    if (!this.isOpen || this.#isEnding) return true;
    const from = this.waiting > 0 ? start : this.#send(bytes, start, end, end - start);
    if (from === end) return true;
    this.#chunks ??= [];
    this.#chunks.push(Buffer.from(bytes.subarray(from, end)));
    this.waiting += end - from;
    if (this.#window > 0) this.#owner.enqueue(this);
    return false;
  }

  /**
   * Ends the response. If its last frame was not flushed yet, it gets END_STREAM, so that no extra frame is needed.
   * @param trailers lower-case names and values, alternating
   */
  end(trailers: readonly string[] = []): void {
    if (!this.isOpen || this.#isEnding) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    if (this.waiting === 0) this.#finish();
  }

  /** Resets the stream. */
  reset(code: number): void {
    if (!this.isOpen) return;
    this.#owner.output.reset(this.id, code);
    this.#close(code, true);
  }

  /**
   * Resets the stream so that an incomplete response cannot be taken for a complete one.
   * @param code used when no response has begun
   */
  break(code: number = CODE.internalError): void {
    this.reset(this.headersSent ? CODE.internalError : code);
  }

  // The request

  /** The sink accepts data again. */
  resume(): void {
    this.#isPaused = false;
    this.#giveBack(false);
  }

  /**
   * The response is complete before the request: the rest of the request is dropped. Most clients stop by themselves;
   * others are stopped by RST_STREAM with NO_ERROR (RFC 9113 section 8.1).
   */
  linger(): void {
    if (this.#isRequestEnded || this.#isDropping) return;
    this.#isDropping = true;
    this.resume();
    if (this.#isEnded) this.#stopSoon();
  }

  // For the connection

  /** True when the stream has data to send and its window has room. */
  get isReady(): boolean {
    return this.isOpen && this.waiting > 0 && this.#window > 0;
  }

  /** Sends one frame of the queued data. */
  sendNext(): void {
    const chunk = this.#chunks?.[0];
    if (chunk === undefined) return;
    const after = this.#send(chunk, this.#chunkAt, chunk.length, MAX_FRAME_BYTES);
    this.waiting -= after - this.#chunkAt;
    this.#chunkAt = after;
    if (after === chunk.length) {
      this.#chunks?.shift();
      this.#chunkAt = 0;
    }
    if (this.waiting > 0) return;
    if (this.#isEnding) this.#finish();
    else this.sink.sent();
  }

  /** @returns false when the window would exceed the protocol's maximum */
  widen(octets: number): boolean {
    if (this.#window + octets > MAX_WINDOW) return false;
    this.#window += octets;
    if (this.isReady) this.#owner.enqueue(this);
    return true;
  }

  /** A DATA frame begins. Parameters as in FrameSink (wire/frame-reader.ts). */
  take(length: number, content: number, isLast: boolean): void {
    this.#credit -= length;
    this.#used += length;
    this.#announced += content;
    const { expected } = this;
    if (this.#isRequestEnded) this.#owner.fault(this, CODE.streamClosed);
    else if (this.#credit < 0) this.#owner.fault(this, CODE.flowControlError);
    else if (expected === null || this.#isDropping) return;
    else if (isLast ? this.#announced !== expected : this.#announced > expected) {
      this.#owner.fault(this, CODE.protocolError);
    } else this.#holdsBack = this.#announced === expected && !isLast;
  }

  data(bytes: Buffer, start: number, end: number): void {
    if (!this.isOpen || this.#isDropping) return;
    this.#received += end - start;
    if (this.#holdsBack && this.#received === this.expected) this.#give(bytes, start, this.#hold(bytes, end));
    else this.#give(bytes, start, end);
  }

  /** A DATA frame without END_STREAM is complete. */
  taken(): void {
    if (!this.#isPaused) this.#giveBack(true);
  }

  requestEnds(trailers: readonly string[]): void {
    if (!this.isOpen) return;
    // The request ended, perhaps with trailers, before its declared length.
    if (this.expected !== null && this.#received !== this.expected && !this.#isDropping) {
      this.#owner.fault(this, CODE.protocolError);
      return;
    }
    this.#isRequestEnded = true;
    if (this.#isEnded) this.#close(CODE.noError, false);
    else if (!this.#isDropping) {
      if (this.#heldBack !== null) this.#give(this.#heldBack, 0, 1);
      this.sink.ended(trailers);
    }
  }

  /** The client has reset the stream, or the connection is closed. */
  drop(code: number): void {
    if (!this.isOpen) return;
    // NO_ERROR is a normal end only if the response is complete.
    this.#close(code === CODE.noError && !this.#isEnded ? CODE.cancel : code, false);
  }

  #give(bytes: Buffer, start: number, end: number): void {
    if (start < end && !this.sink.data(bytes, start, end)) this.#isPaused = true;
  }

  /** Holds back the last octet. @returns the end of the others */
  #hold(bytes: Buffer, end: number): number {
    this.#heldBack = Buffer.from(bytes.subarray(end - 1, end));
    return end - 1;
  }

  #send(bytes: Buffer, start: number, end: number, most: number): number {
    const last = Math.min(end, start + most);
    let at = start;
    while (at < last) {
      const length = this.#owner.allowance(Math.min(MAX_FRAME_BYTES, this.#window, last - at));
      if (length <= 0) break;
      this.#frameAt = this.#owner.output.data(this.id, bytes, at, at + length, 0);
      this.#window -= length;
      at += length;
      this.#owner.spend(length, at < last);
    }
    this.sent += at - start;
    return at;
  }

  #finish(): void {
    const { output, block } = this.#owner;
    if (this.#trailers.length > 0) output.headers(this.id, block.clear().addAll(this.#trailers), true);
    else if (!output.end(this.#frameAt)) output.data(this.id, EMPTY, 0, 0, FLAG.endStream);
    this.#isEnded = true;
    if (this.#isRequestEnded) this.#close(CODE.noError, false);
    else if (this.#isDropping) this.#stopSoon();
  }

  #stopSoon(): void {
    this.#lingers ??= setTimeout(() => this.reset(CODE.noError), LINGER_MS);
  }

  /**
   * Returns the consumed octets to the client once they are worth a frame.
   * @param grows adds the same amount again, since the sink keeps up: so the window doubles per round trip
   */
  #giveBack(grows: boolean): void {
    if (!this.isOpen || this.#isRequestEnded || this.#used < DEFAULT_WINDOW / 2) return;
    const more = grows && !this.#isDropping ? this.#owner.lend(this.#used) : 0;
    this.#owner.output.windowUpdate(this.id, this.#used + more);
    this.#credit += this.#used + more;
    this.lent += more;
    this.#used = 0;
  }

  #close(code: number, byUs: boolean): void {
    this.isOpen = false;
    this.#chunks = null;
    this.waiting = 0;
    if (this.#lingers !== null) clearTimeout(this.#lingers);
    this.#owner.closed(this, byUs);
    this.sink.closed(code);
  }
}
