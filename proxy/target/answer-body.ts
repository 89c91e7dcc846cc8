/** The body of an answer: where it ends, and its bytes on their way to who asked. One object for all answers of a connection. */
import { CR, LF } from '../http/bytes.ts';
import { ChunkScanner } from '../http/chunked.ts';
import { Trailers } from '../http/trailers.ts';
import type { ResponseFraming, ResponseHead } from './response-head.ts';

interface Receiver {
  /** @returns false to read no more for now */
  give(bytes: Buffer, start: number, end: number): boolean;
}

export class AnswerBody {
  framing: ResponseFraming = 'none';
  /** Bytes that are to come of a body that says its length. */
  left = 0;
  /** All of it was read, with its trailers. */
  done = false;
  /** Why it is none that its head says; null: nothing is wrong with it. */
  fault: string | null = null;
  /** Once it is done: names and values in turn, those that may pass. Null: none, or they were given along with it. */
  trailers: readonly string[] | null = null;
  /** False: the receiver takes no more for now. */
  goesOn = true;
  #isRaw = false;
  readonly #chunks = new ChunkScanner();
  readonly #trailers = new Trailers();

  /** @param isRaw chunks are given with their framing ({@link CallRequest.raw}) */
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

  /** True where a chunked one can be ended: between two of its chunks. */
  get isBetweenChunks(): boolean {
    return this.framing === 'chunked' && this.#chunks.isBetween;
  }

  /** @returns the offset after what is of it */
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

  /** @param at the end of what was read as chunks, up to `end` of the bytes */
  #giveRaw(bytes: Buffer, start: number, at: number, end: number, to: Receiver): number {
    // Nearly always there are no trailers, and the empty line is here: it goes along.
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
    // There is an end to them, and the receiver is given them only then.
    this.goesOn = true;
    if (state === 'bad') this.fault = 'the trailers of the answer are not valid';
    if (state !== 'done') return end;
    this.done = true;
    this.trailers = this.#trailers.passed;
    return this.#trailers.end;
  }
}
