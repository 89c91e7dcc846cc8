/** One stream of a client's connection (RFC 9113 section 5): a request that comes in, and an answer that goes out. */
import { CODE, DEFAULT_WINDOW, FLAG, MAX_FRAME_BYTES, MAX_WINDOW } from './wire/codes.ts';
import type { FieldBlock } from './wire/field-block.ts';
import type { FrameOutput } from './wire/frame-output.ts';

/** Who has the stream. All calls are synchronous; `closed` is the last one. */
export interface StreamSink {
  /** Bytes of the request's body, valid only during the call. False: no more until {@link ServerStream.resume}. */
  data(bytes: Buffer, start: number, end: number): boolean;
  /** The request is complete. @param trailers names and values in turn, all that came */
  ended(trailers: readonly string[]): void;
  /** All that was written has gone out, after a write that answered false. */
  sent(): void;
  /** Once per second or so, for limits of time. */
  tick(): void;
  /** It is over. @param code of the RST_STREAM that ended it, from either side; 0: request and answer are complete */
  closed(code: number): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly output: FrameOutput;
  /** For heads and trailers that are put together. */
  readonly block: FieldBlock;
  /** Octets of a body that the connection would send now, at most so many; nothing while others wait for their turn. */
  allowance(most: number): number;
  /** @param isCut there was more, which a window had no room for */
  spend(octets: number, isCut: boolean): void;
  /** Octets by which the window of an upload may grow, at most so many; they are the stream's until it is over. */
  lend(most: number): number;
  /** It has something to send, and will be asked to. */
  enqueue(stream: ServerStream): void;
  /** The client broke a rule of the protocol that concerns this stream. */
  fault(stream: ServerStream, code: number): void;
  /** It is over. @param byUs we have reset it, and its client does not know yet */
  closed(stream: ServerStream, byUs: boolean): void;
}

/** How long a client that has its answer may still send its request, ms. */
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
  /** Set as soon as the request is known. */
  sink: StreamSink = NOBODY;
  headersSent = false;
  isOpen = true;
  /** Octets of the answer that wait for the client. */
  waiting = 0;
  /** Octets of the answer that were sent. */
  sent = 0;
  /** Declared length of the request's body, octets; a body of another length is a fault (RFC 9113 section 8.1.1). */
  expected: number | null = null;
  readonly #owner: StreamOwner;
  /** What the client takes, octets. Less than none when it has changed its mind. */
  #window: number;
  #chunks: Buffer[] | null = null;
  /** Octets of the first chunk that were sent. */
  #chunkAt = 0;
  #isEnding = false;
  #isEnded = false;
  #trailers: readonly string[] = [];
  /** Where the last frame of the answer is in the output. */
  #frameAt = -1;
  #isRequestEnded = false;
  /** Octets of the body that came, and that the frames so far have or will have. */
  #received = 0;
  #announced = 0;
  /**
   * A body that is as long as declared, but has not ended, may turn out to be longer, and the request malformed. So that the
   * target never has it whole, its last octet waits for the end.
   */
  #holdsBack = false;
  #heldBack: Buffer | null = null;
  /** What the client may still send, and what it may be told that it may send again. */
  #credit = DEFAULT_WINDOW;
  #used = 0;
  /** By how much it is more than at the beginning. */
  lent = 0;
  #isPaused = false;
  #isDropping = false;
  #lingers: NodeJS.Timeout | null = null;

  /** @param window of the client for the answer, octets */
  constructor(id: number, owner: StreamOwner, window: number) {
    this.id = id;
    this.#owner = owner;
    this.#window = window;
  }

  get isRequestEnded(): boolean {
    return this.#isRequestEnded;
  }

  // The answer

  /** An interim answer, in the block. */
  inform(block: FieldBlock): void {
    if (this.isOpen && !this.headersSent) this.#owner.output.headers(this.id, block, false);
  }

  /** The head of the answer. */
  respond(block: FieldBlock): void {
    if (!this.isOpen || this.headersSent) return;
    this.headersSent = true;
    this.#frameAt = this.#owner.output.headers(this.id, block, false);
  }

  /** @returns false while some of it waits: then {@link StreamSink.sent} follows. The bytes are free again. */
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
   * The answer is complete. What has not gone out yet of its last frame is marked so, and no other frame is needed.
   * @param trailers lower-case names and values in turn
   */
  end(trailers: readonly string[] = []): void {
    if (!this.isOpen || this.#isEnding) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    if (this.waiting === 0) this.#finish();
  }

  /** Ends both directions at once. */
  reset(code: number): void {
    if (!this.isOpen) return;
    this.#owner.output.reset(this.id, code);
    this.#close(code, true);
  }

  /**
   * An answer that is not complete must not be taken for one.
   * @param code used when no answer has begun
   */
  break(code: number = CODE.internalError): void {
    this.reset(this.headersSent ? CODE.internalError : code);
  }

  // The request

  /** The sink takes data again. */
  resume(): void {
    this.#isPaused = false;
    this.#giveBack(false);
  }

  /**
   * The answer is complete before its request: what still comes of it is dropped. Most clients stop by themselves; the
   * others are asked to by a reset without error (RFC 9113 section 8.1).
   */
  linger(): void {
    if (this.#isRequestEnded || this.#isDropping) return;
    this.#isDropping = true;
    this.resume();
    if (this.#isEnded) this.#stopSoon();
  }

  // For the connection

  /** Whether it could send if the connection can. */
  get isReady(): boolean {
    return this.isOpen && this.waiting > 0 && this.#window > 0;
  }

  /** Sends one frame of what waits. */
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

  /** @returns false when the window is larger than the protocol lets it be */
  widen(octets: number): boolean {
    if (this.#window + octets > MAX_WINDOW) return false;
    this.#window += octets;
    if (this.isReady) this.#owner.enqueue(this);
    return true;
  }

  /** A frame begins. As in FrameSink (wire/frame-reader.ts). */
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

  /** A frame is whole, and not the last one. */
  taken(): void {
    if (!this.#isPaused) this.#giveBack(true);
  }

  requestEnds(trailers: readonly string[]): void {
    if (!this.isOpen) return;
    // Trailers, or nothing at all, in place of the rest.
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

  /** The client has reset it, or its connection is no more. */
  drop(code: number): void {
    if (!this.isOpen) return;
    // Without an error it is an end only where nothing is missing.
    this.#close(code === CODE.noError && !this.#isEnded ? CODE.cancel : code, false);
  }

  #give(bytes: Buffer, start: number, end: number): void {
    if (start < end && !this.sink.data(bytes, start, end)) this.#isPaused = true;
  }

  /** Keeps the last octet. @returns where the others end */
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
   * Lets the client send again what was taken, when it is worth a frame.
   * @param grows as much again, when the sink keeps up: so the window doubles per round trip
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
