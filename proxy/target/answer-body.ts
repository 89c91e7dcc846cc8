/** Finds the end of a response body and passes the body on. One object serves all responses of a connection. */
import { CR, LF } from '../http/bytes.ts';
import { ChunkScanner } from '../http/chunked.ts';
import { Trailers } from '../http/trailers.ts';
import type { ResponseFraming, ResponseHead } from './response-head.ts';

interface Receiver {
  /** @returns false to pause reading */
  give(bytes: Buffer, start: number, end: number): boolean;
}

export class AnswerBody {
  framing: ResponseFraming = 'none';
  /** Bytes still to come of a body with a Content-Length. */
  left = 0;
  /** True when the body was read to its end, trailers included. */
  done = false;
  /** Why the body violates the framing that its head declares; null: it does not. */
  fault: string | null = null;
  /** Set once `done`: the trailers to forward, as alternating names and values. Null: none, or already given raw. */
  trailers: readonly string[] | null = null;
  /** False while the receiver applies back-pressure. */
  goesOn = true;
  #isRaw = false;
  readonly #chunks = new ChunkScanner();
  readonly #trailers = new Trailers();

  /** @param isRaw passes chunks on with their framing ({@link CallRequest.raw}) */
  begin({ framing, contentLength }: ResponseHead, isRaw: boolean): void {
    this.framing = framing;
    this.left = contentLength;
    this.done = false;
    this.fault = null;
    this.trailers = null;
    this.#isRaw = isRaw;
    if (framing !== 'chunked') return;
    this.#chunks.reset();
    this.#trailers.reset();
  }

  /** True where a chunked body can be ended early: between two chunks. */
  get isBetweenChunks(): boolean {
    return this.framing === 'chunked' && this.#chunks.isBetween;
  }

  /** @returns the offset after the part that belongs to the body */
  take(bytes: Buffer, start: number, end: number, to: Receiver): number {
    this.goesOn = true;
    switch (this.framing) {
      case 'none':
        this.done = true;
        return start;
      case 'length':
        return this.#takeLength(bytes, start, end, to);
      case 'chunked':
        return this.#chunks.state === 'end'
          ? this.#takeTrailers(bytes, start, end)
          : this.#takeChunks(bytes, start, end, to);
      case 'close':
        break;
    }
    if (start < end) this.goesOn = to.give(bytes, start, end);
    return end;
  }

  #takeLength(bytes: Buffer, start: number, end: number, to: Receiver): number {
    const length = Math.min(this.left, end - start);
    this.left -= length;
    if (length > 0) this.goesOn = to.give(bytes, start, start + length);
    this.done = this.left === 0;
    return start + length;
  }

  #takeChunks(bytes: Buffer, start: number, end: number, to: Receiver): number {
    const chunks = this.#chunks;
    let at = start;
    while (at < end && chunks.state !== 'end' && chunks.state !== 'bad') {
      at = chunks.step(bytes, at, end);
      const { dataStart, dataEnd } = chunks;
      if (!this.#isRaw && dataEnd > dataStart) this.goesOn = to.give(bytes, dataStart, dataEnd) && this.goesOn;
    }
    if (chunks.state === 'bad') {
      this.fault = 'the body of the answer is not chunked as it says';
      return at;
    }
    return this.#isRaw ? this.#giveRaw(bytes, start, at, end, to) : this.#afterChunks(bytes, at, end);
  }

  /** @param at where the chunks end within the bytes, which end at `end` */
  #giveRaw(bytes: Buffer, start: number, at: number, end: number, to: Receiver): number {
    // There are hardly ever trailers, and the empty line is usually in the same read: it goes along.
    if (this.#chunks.state === 'end' && at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) {
      to.give(bytes, start, at + 2);
      this.done = true;
      return at + 2;
    }
    if (at > start) this.goesOn = to.give(bytes, start, at);
    return this.#afterChunks(bytes, at, end);
  }

  #afterChunks(bytes: Buffer, at: number, end: number): number {
    return this.#chunks.state === 'end' && at < end ? this.#takeTrailers(bytes, at, end) : at;
  }

  #takeTrailers(bytes: Buffer, at: number, end: number): number {
    const state = this.#trailers.read(bytes, at, end);
    // Trailers are bounded, and the receiver gets them only when they are complete.
    this.goesOn = true;
    if (state === 'bad') this.fault = 'the trailers of the answer are not valid';
    if (state !== 'done') return end;
    this.done = true;
    this.trailers = this.#trailers.passed;
    return this.#trailers.end;
  }
}
