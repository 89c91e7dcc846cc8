/** Finds the end of a request body and forwards the body to the target. */
import { ChunkScanner } from '../http/chunked.ts';
import { Trailers } from '../http/trailers.ts';
import type { Call } from '../target/call.ts';
import type { BodyFraming } from './head.ts';

export class RequestBody {
  /** True when the body was read to its end. */
  done = true;
  /** True when the client violated the framing. */
  bad = false;
  /** False while the target applies back-pressure. */
  goesOn = true;
  /** Body bytes read so far, without framing. */
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

  /**
   * Counts the first bytes of a body of known length, which are sent together with the head.
   * @returns how many of the available bytes belong to the body
   */
  takeFirst(available: number): number {
    if (this.#chunks !== null) return 0;
    const length = Math.min(this.#left, available);
    this.#count(length);
    return length;
  }

  /**
   * Forwards the part of the body that these bytes contain.
   * @param limit in bytes, for a body of undeclared length; 0: none. Bytes beyond it are counted but not forwarded
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

  /** Moves the data of all chunks of one read together in place and writes it once: chunks may be arbitrarily small. */
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
    // The app must not act on a body that the client gets a 413 for.
    if (limit > 0 && this.bytes > limit) return at;
    if (gathered > start) this.goesOn = call.write(bytes.subarray(start, gathered));
    this.bad = chunks.state === 'bad';
    return chunks.state === 'end' && at < end ? this.#takeTrailers(bytes, at, end, call) : at;
  }

  /** Reads and drops the trailers. They were not announced, so nobody expects them (RFC 9110 section 6.5.1). */
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
