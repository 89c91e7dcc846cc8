/** Where the body of a request ends, and its bytes on their way to the target. */
import { ChunkScanner } from '../http/chunked.ts';
import { Trailers } from '../http/trailers.ts';
import type { Call } from '../target/call.ts';
import type { BodyFraming } from './head.ts';

export class RequestBody {
  /** All of it was read. */
  done = true;
  /** The client does not keep to the framing. */
  bad = false;
  /** False: the target takes no more for now. */
  goesOn = true;
  /** Bytes of it that were read, without framing. */
  bytes = 0;
  #left = 0;
  #chunks: ChunkScanner | null = null;
  #trailers: Trailers | null = null;

  begin(framing: BodyFraming, contentLength: number): void {
    this.bad = false;
    this.goesOn = true;
    this.bytes = 0;
    this.#left = contentLength;
    this.done = framing === 'none' || (framing === 'length' && contentLength === 0);
    this.#chunks = null;
    if (framing !== 'chunked') return;
    this.#chunks = new ChunkScanner();
    this.#trailers = new Trailers();
  }

  /** Bytes of a body of known length that go along with the head. @returns how many of those at hand are of it */
  takeFirst(available: number): number {
    if (this.#chunks !== null) return 0;
    const length = Math.min(this.#left, available);
    this.#count(length);
    return length;
  }

  /**
   * Gives the call what is of the body.
   * @param limit of a body that does not say its length; 0: none. What goes beyond it counts, and nobody is given it
   * @returns the offset after it
   */
  take(bytes: Buffer, start: number, end: number, call: Call, limit: number): number {
    if (this.#chunks !== null) return this.#takeChunks(this.#chunks, bytes, start, end, call, limit);
    const length = Math.min(this.#left, end - start);
    this.goesOn = call.write(bytes.subarray(start, start + length));
    this.#count(length);
    if (this.done) call.end();
    return start + length;
  }

  /** What the chunks of one read bring is moved together there, and written as one: a client may make them as small as it likes. */
  #takeChunks(chunks: ChunkScanner, bytes: Buffer, start: number, end: number, call: Call, limit: number): number {
    let at = start;
    let gathered = start;
    while (at < end && chunks.state !== 'end' && chunks.state !== 'bad') {
      at = chunks.step(bytes, at, end);
      const { dataStart, dataEnd } = chunks;
      bytes.copyWithin(gathered, dataStart, dataEnd);
      gathered += dataEnd - dataStart;
    }
    this.bytes += gathered - start;
    // The app must not act on what its client is told was too large.
    if (limit > 0 && this.bytes > limit) return at;
    if (gathered > start) this.goesOn = call.write(bytes.subarray(start, gathered));
    this.bad = chunks.state === 'bad';
    return chunks.state === 'end' && at < end ? this.#takeTrailers(bytes, at, end, call) : at;
  }

  /** They were not announced, so nobody waits for them: read, and left out (RFC 9110 section 6.5.1). */
  #takeTrailers(bytes: Buffer, at: number, end: number, call: Call): number {
    const state = this.#trailers?.read(bytes, at, end) ?? 'bad';
    this.bad = state === 'bad';
    if (state !== 'done') return end;
    this.done = true;
    call.end();
    return this.#trailers?.end ?? end;
  }

  #count(length: number): void {
    this.#left -= length;
    this.bytes += length;
    if (this.#left === 0) this.done = true;
  }
}
