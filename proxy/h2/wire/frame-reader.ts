/**
 * Parses frames from bytes, however they are split (RFC 9113 section 4.1). Bodies are passed on as they arrive; of
 * other frames, only what is incomplete at the end of a read is copied.
 */
import { CODE, ConnectionError, FLAG, FRAME, FRAME_HEAD_BYTES, MAX_FRAME_BYTES, PREFACE } from './codes.ts';

/** Receives the frames. The bytes are valid only during the call. */
export interface FrameSink {
  /** False: the reader stops. */
  readonly isOpen: boolean;
  /** A complete frame other than DATA. */
  frame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void;
  /**
   * A DATA frame begins.
   * @param length of its payload with padding, which counts for flow control
   * @param content octets of the payload without padding
   * @param isLast the frame ends the stream
   */
  dataBegins(stream: number, length: number, content: number, isLast: boolean): void;
  /** Content of the DATA frame. */
  data(bytes: Buffer, start: number, end: number): void;
  /** The DATA frame is complete. */
  dataEnds(isLast: boolean): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  #prefaceRead = 0;
  /** The start of an incomplete frame, in a buffer of the size that is known to be needed so far. */
  #held: Buffer | null = null;
  #heldLength = 0;
  /** Octets of content, then of padding, still to come of the current DATA frame. */
  #contentLeft = 0;
  #paddingLeft = 0;
  #isLast = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True in the middle of the preface or of a frame. */
  get isInside(): boolean {
    return this.#prefaceRead < PREFACE.length || this.#held !== null || this.#contentLeft + this.#paddingLeft > 0;
  }

  /** @throws ConnectionError by itself or from the sink */
  read(bytes: Buffer, start: number, end: number): void {
    let at = this.#prefaceRead < PREFACE.length ? this.#readPreface(bytes, start, end) : start;
    while (at < end && this.#sink.isOpen) {
      if (this.#contentLeft + this.#paddingLeft > 0) at = this.#readData(bytes, at, end);
      else if (this.#held !== null) at = this.#fill(this.#held, bytes, at, end);
      else at = this.#readFrame(bytes, at, end);
    }
  }

  #readPreface(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (; at < end && this.#prefaceRead < PREFACE.length; at += 1) {
      if (bytes[at] !== PREFACE[this.#prefaceRead]) {
        throw new ConnectionError(CODE.protocolError, 'this is no preface of HTTP/2');
      }
      this.#prefaceRead += 1;
    }
    return at;
  }

  /** Reads from the start of a frame. @returns the offset after what was read */
  #readFrame(bytes: Buffer, at: number, end: number): number {
    const payload = at + FRAME_HEAD_BYTES;
    if (end < payload) return this.#hold(bytes, at, end, FRAME_HEAD_BYTES);
    const length = bytes.readUIntBE(at, 3);
    if (length > MAX_FRAME_BYTES) throw new ConnectionError(CODE.frameSizeError, `a frame of ${length} bytes`);
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    if (type === FRAME.data) return this.#beginData(bytes, at, end, length, flags, stream);
    if (end < payload + length) return this.#hold(bytes, at, end, FRAME_HEAD_BYTES + length);
    this.#sink.frame(type, flags, stream, bytes, payload, payload + length);
    return payload + length;
  }

  #hold(bytes: Buffer, at: number, end: number, size: number): number {
    this.#held = Buffer.allocUnsafe(size);
    this.#heldLength = bytes.copy(this.#held, 0, at, end);
    return end;
  }

  /** Completes the held bytes and reads them. With the header complete, more may turn out to be needed. */
  #fill(held: Buffer, bytes: Buffer, at: number, end: number): number {
    const copied = bytes.copy(held, this.#heldLength, at, Math.min(end, at + held.length - this.#heldLength));
    this.#heldLength += copied;
    if (this.#heldLength === held.length) {
      this.#held = null;
      this.#readFrame(held, 0, held.length);
    }
    return at + copied;
  }

  #beginData(bytes: Buffer, at: number, end: number, length: number, flags: number, stream: number): number {
    const payload = at + FRAME_HEAD_BYTES;
    const isPadded = (flags & FLAG.padded) !== 0;
    // The padding length precedes the content.
    const before = isPadded ? 1 : 0;
    if (length < before) throw new ConnectionError(CODE.frameSizeError, 'a padded frame without a payload');
    if (end < payload + before) return this.#hold(bytes, at, end, FRAME_HEAD_BYTES + before);
    this.#paddingLeft = isPadded ? (bytes[payload] as number) : 0;
    this.#contentLeft = length - before - this.#paddingLeft;
    if (this.#contentLeft < 0) throw new ConnectionError(CODE.protocolError, 'more padding than payload');
    this.#isLast = (flags & FLAG.endStream) !== 0;
    this.#sink.dataBegins(stream, length, this.#contentLeft, this.#isLast);
    if (this.#contentLeft + this.#paddingLeft === 0) this.#sink.dataEnds(this.#isLast);
    return payload + before;
  }

  #readData(bytes: Buffer, at: number, end: number): number {
    const content = Math.min(this.#contentLeft, end - at);
    this.#contentLeft -= content;
    if (content > 0) this.#sink.data(bytes, at, at + content);
    const padding = Math.min(this.#paddingLeft, end - at - content);
    if (this.#contentLeft === 0) this.#paddingLeft -= padding;
    if (this.#contentLeft + this.#paddingLeft === 0) this.#sink.dataEnds(this.#isLast);
    return at + content + padding;
  }
}
