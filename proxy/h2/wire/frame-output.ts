/**
 * Gathers frames in one buffer per turn of the event loop: responses of many streams become one write and TLS record.
 */
import type { Outlet } from '../../net/outlet.ts';
import { FLAG, FRAME, FRAME_HEAD_BYTES, MAX_FRAME_BYTES } from './codes.ts';
import type { FieldBlock } from './field-block.ts';
import { OUTPUT_BYTES } from './outputs.ts';
import type { Outputs } from './outputs.ts';

/** An HPACK table size update to 0 (RFC 7541 section 6.3). */
const NO_TABLE = 0x20;

export class FrameOutput {
  readonly #outlet: Outlet;
  readonly #outputs: Outputs;
  readonly #flush = (): void => this.flush();
  #buffer: Buffer | null = null;
  #length = 0;
  /** Octets flushed before those in the buffer. */
  #before = 0;
  #mustEmptyTable = false;
  #isClosed = false;
  /** True while the socket applies back-pressure: nobody should write what can wait. */
  isFull = false;

  constructor(outlet: Outlet, outputs: Outputs) {
    this.#outlet = outlet;
    this.#outputs = outputs;
  }

  /** The peer has reduced its HPACK table: the next block must announce that we use none. */
  emptyTable(): void {
    this.#mustEmptyTable = true;
  }

  /** @returns the position of the frame, for {@link end} */
  data(stream: number, bytes: Buffer, start: number, end: number, flags: number): number {
    const at = this.#begin(FRAME.data, flags, stream, end - start);
    bytes.copy(this.#buffer as Buffer, this.#length, start, end);
    this.#length += end - start;
    return at;
  }

  /** Writes HEADERS, and CONTINUATION if the block is too long. @returns the position of the frame, for {@link end} */
  headers(stream: number, block: FieldBlock, isLast: boolean): number {
    const flags = isLast ? FLAG.endStream : 0;
    if (this.#mustEmptyTable || block.length > MAX_FRAME_BYTES) return this.#longHeaders(stream, block, flags);
    const at = this.#begin(FRAME.headers, flags | FLAG.endHeaders, stream, block.length);
    this.#copy(block.bytes, 0, block.length);
    return at;
  }

  /**
   * Marks a frame as the last one of its stream.
   * @returns false when it was flushed already
   */
  end(at: number): boolean {
    if (this.#buffer === null || at < this.#before) return false;
    const flags = at - this.#before + 4;
    this.#buffer[flags] = (this.#buffer[flags] as number) | FLAG.endStream;
    return true;
  }

  reset(stream: number, code: number): void {
    this.#begin(FRAME.reset, 0, stream, 4);
    this.#number(code);
  }

  windowUpdate(stream: number, increment: number): void {
    this.#begin(FRAME.windowUpdate, 0, stream, 4);
    this.#number(increment);
  }

  /** @param settings alternating identifiers and values */
  settings(settings: readonly number[]): void {
    this.#begin(FRAME.settings, 0, 0, settings.length * 3);
    for (let index = 0; index < settings.length; index += 2) {
      const buffer = this.#buffer as Buffer;
      this.#length = buffer.writeUInt16BE(settings[index] as number, this.#length);
      this.#number(settings[index + 1] as number);
    }
  }

  acknowledgeSettings(): void {
    this.#begin(FRAME.settings, FLAG.ack, 0, 0);
  }

  /** @param bytes with the eight octets of a PING at `start` */
  acknowledgePing(bytes: Buffer, start: number): void {
    this.#begin(FRAME.ping, FLAG.ack, 0, 8);
    this.#copy(bytes, start, start + 8);
  }

  goaway(lastStream: number, code: number): void {
    this.#begin(FRAME.goaway, 0, 0, 8);
    this.#number(lastStream);
    this.#number(code);
  }

  /** See {@link Outlet.queued}. */
  get queued(): number {
    return this.#outlet.queued;
  }

  /** See {@link Outlet.isEmpty}; covers only what was flushed. */
  get isEmpty(): boolean {
    return this.#outlet.isEmpty;
  }

  /** Flushes the buffer; later frames are dropped. */
  close(): void {
    this.flush();
    this.#isClosed = true;
  }

  /** Writes the gathered frames to the socket. */
  flush(): void {
    const buffer = this.#buffer;
    if (buffer === null) return;
    const length = this.#length;
    this.#buffer = null;
    this.#length = 0;
    this.#before += length;
    // The outlet has copied what it could not write at once, so the buffer is free.
    if (!this.#isClosed && !this.#outlet.write(buffer, 0, length)) this.isFull = true;
    this.#outputs.give(buffer);
  }

  #begin(type: number, flags: number, stream: number, length: number): number {
    const buffer = this.#room(FRAME_HEAD_BYTES + length);
    const at = this.#length;
    buffer[at] = length >> 16;
    buffer[at + 1] = length >> 8;
    buffer[at + 2] = length;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    buffer[at + 5] = stream >> 24;
    buffer[at + 6] = stream >> 16;
    buffer[at + 7] = stream >> 8;
    buffer[at + 8] = stream;
    this.#length = at + FRAME_HEAD_BYTES;
    return this.#before + at;
  }

  /** Returns a buffer with room for `length` more octets; an empty buffer has room for any frame. */
  #room(length: number): Buffer {
    if (this.#buffer !== null && this.#length + length > OUTPUT_BYTES) this.flush();
    if (this.#buffer === null) {
      this.#buffer = this.#outputs.take();
      this.#outputs.atEnd(this.#flush);
    }
    return this.#buffer;
  }

  #longHeaders(stream: number, block: FieldBlock, flags: number): number {
    const prefix = this.#mustEmptyTable ? 1 : 0;
    this.#mustEmptyTable = false;
    const first = Math.min(block.length, MAX_FRAME_BYTES - prefix);
    const isWhole = first === block.length;
    const at = this.#begin(FRAME.headers, flags | (isWhole ? FLAG.endHeaders : 0), stream, prefix + first);
    if (prefix > 0) (this.#buffer as Buffer)[this.#length++] = NO_TABLE;
    this.#copy(block.bytes, 0, first);
    for (let from = first; from < block.length; from += MAX_FRAME_BYTES) {
      const end = Math.min(block.length, from + MAX_FRAME_BYTES);
      this.#begin(FRAME.continuation, end === block.length ? FLAG.endHeaders : 0, stream, end - from);
      this.#copy(block.bytes, from, end);
    }
    return at;
  }

  #copy(bytes: Buffer, start: number, end: number): void {
    bytes.copy(this.#buffer as Buffer, this.#length, start, end);
    this.#length += end - start;
  }

  #number(value: number): void {
    this.#length = (this.#buffer as Buffer).writeUInt32BE(value, this.#length);
  }
}
