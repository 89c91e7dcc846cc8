/** Reads one HTTP/1.1 response, however its bytes are split (RFC 9112). Strict: anything malformed throws. */
import type { Receiver } from './ways.ts';

const EMPTY = Buffer.alloc(0);
const HEAD_END = '\r\n\r\n';
/** Ends a size line, and a chunk. */
const LINE_END = '\r\n';

type State = 'head' | 'length' | 'chunk' | 'size' | 'trailers' | 'close' | 'done';

export class AnswerReader {
  readonly #isHead: boolean;
  readonly #receiver: Receiver;
  #state: State = 'head';
  /** The received part of an incomplete line or head. */
  #partial: Buffer = EMPTY;
  /** Bytes still missing from the body, or from the chunk with its line end. */
  #left = 0;
  #pauseMs = 0;
  keepAlive = true;

  constructor(isHead: boolean, receiver: Receiver) {
    this.#isHead = isHead;
    this.#receiver = receiver;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Only the end of the connection can end the response. */
  get endsWithConnection(): boolean {
    return this.#state === 'close';
  }

  /** @returns how long the receiver wants to pause reading, ms */
  read(bytes: Buffer): number {
    this.#pauseMs = 0;
    let rest = this.#partial.length === 0 ? bytes : Buffer.concat([this.#partial, bytes]);
    this.#partial = EMPTY;
    while (rest.length > 0 && this.#partial.length === 0) rest = this.#step(rest);
    return this.#pauseMs;
  }

  /** @returns the remaining bytes */
  #step(bytes: Buffer): Buffer {
    switch (this.#state) {
      case 'head':
        return this.#upTo(HEAD_END, bytes, (text) => this.#head(text));
      case 'size':
        return this.#upTo(LINE_END, bytes, (text) => this.#size(text));
      case 'trailers':
        return this.#upTo(LINE_END, bytes, (text) => {
          if (text === '') this.#state = 'done';
        });
      case 'length':
        return this.#body(bytes, 0, 'done');
      case 'chunk':
        return this.#body(bytes, LINE_END.length, 'size');
      case 'close':
        this.#pauseMs += this.#receiver.data(bytes);
        return EMPTY;
      case 'done':
        break;
    }
    throw new Error(`bytes behind an answer: ${bytes.toString('latin1', 0, 80)}`);
  }

  #upTo(end: string, bytes: Buffer, take: (text: string) => void): Buffer {
    const at = bytes.indexOf(end, 0, 'latin1');
    if (at < 0) {
      this.#partial = bytes;
      return bytes;
    }
    take(bytes.toString('latin1', 0, at));
    return bytes.subarray(at + end.length);
  }

  /** @param behind how many of the `#left` bytes are not part of the body */
  #body(bytes: Buffer, behind: number, then: State): Buffer {
    const length = Math.min(bytes.length, this.#left);
    const data = Math.min(length, this.#left - behind);
    if (data > 0) this.#pauseMs += this.#receiver.data(bytes.subarray(0, data));
    this.#left -= length;
    if (this.#left === 0) this.#state = then;
    return bytes.subarray(length);
  }

  #head(text: string): void {
    const [first = '', ...lines] = text.split(LINE_END);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? NaN);
    if (Number.isNaN(status)) throw new Error(`no status line: ${first.slice(0, 80)}`);
    if (status < 200) return;
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(': ');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 2);
    }
    this.#frame(status, headers);
    this.#receiver.head(status, headers);
  }

  #frame(status: number, headers: Readonly<Record<string, string>>): void {
    this.keepAlive = headers['connection'] !== 'close';
    const length = headers['content-length'];
    this.#left = Number(length ?? 0);
    if (this.#isHead || status === 204 || status === 304) this.#state = 'done';
    else if (headers['transfer-encoding'] === 'chunked') this.#state = 'size';
    else if (length === undefined) this.#state = 'close';
    else this.#state = this.#left === 0 ? 'done' : 'length';
  }

  #size(text: string): void {
    const size = Number.parseInt(text, 16);
    if (!/^[0-9a-f]+$/i.test(text)) throw new Error(`no size of a chunk: ${text.slice(0, 80)}`);
    this.#left = size + LINE_END.length;
    this.#state = size === 0 ? 'trailers' : 'chunk';
  }
}
