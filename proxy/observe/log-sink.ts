/**
 * Passes lines to a writer without ever waiting for it. One buffer is filled while the other is written. When both are
 * full, lines are dropped and counted, and a later line reports how many.
 */
import { mappedBuffer } from '../mapped-buffer.ts';
import type { LogWriter } from './log-writer.ts';

const BUFFER_BYTES = 65_536;
const FLUSH_MS = 1000;
/** Time from a full pipe to the next try. */
const RETRY_MS = 50;
/** How long the end of the process waits for a slow reader. */
const CLOSE_MS = 500;
const NEWLINE = 0x0a;

/** Longest report line, bytes. */
const REPORT_BYTES = 256;

/** Longest line with its newline, bytes: it fits into one chunk of any writer. */
export const MAX_LINE_BYTES = 4096;

interface Half {
  readonly bytes: Buffer;
  length: number;
  /** How much of `length` is written. */
  written: number;
}

const makeHalf = (): Half => ({ bytes: mappedBuffer(BUFFER_BYTES), length: 0, written: 0 });

export class LogSink {
  readonly #writer: LogWriter;
  readonly #report: (dropped: number) => string;
  #filling = makeHalf();
  #leaving = makeHalf();
  /** True from the swap of the buffers until all of `#leaving` is written. */
  #busy = false;
  #dropped = 0;
  #unreported = 0;
  #whenEmpty: (() => void) | null = null;
  /** Null while nothing waits, so that it does not wake an idle process. */
  #timer: NodeJS.Timeout | null = null;

  /** @param report makes the line that reports dropped lines: at most 256 bytes with its newline */
  constructor(writer: LogWriter, report: (dropped: number) => string) {
    this.#writer = writer;
    this.#report = report;
  }

  /** Lines dropped so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /** @param line ASCII with its newline, at most {@link MAX_LINE_BYTES} */
  add(line: string): void {
    this.#reportDropped(line.length);
    if (this.#unreported === 0 && this.#makeRoom(line.length)) this.#put(line);
    else this.#drop(1);
  }

  /** Starts writing at once, for lines that should not wait; other lines are written within a second. */
  flush(): void {
    this.#reportDropped();
    this.#flush();
  }

  /** Writes the remaining lines, as far as the reader takes them in time. The last call. */
  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, CLOSE_MS);
      this.#whenEmpty = () => {
        clearTimeout(deadline);
        resolve();
      };
      this.#reportDropped();
      this.#settle();
    });
    this.#busy = true;
    this.#writer.close();
  }

  #drop(lines: number): void {
    this.#dropped += lines;
    this.#unreported += lines;
    this.#soon();
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.flush();
      if (this.#filling.length > 0 || this.#unreported > 0) this.#soon();
    }, FLUSH_MS).unref();
  }

  /** @param more bytes that follow: without room for them, every line would need another report */
  #reportDropped(more = 0): void {
    if (this.#unreported === 0 || !this.#makeRoom(REPORT_BYTES + more)) return;
    this.#put(this.#report(this.#unreported));
    this.#unreported = 0;
  }

  #makeRoom(bytes: number): boolean {
    if (this.#filling.length + bytes > BUFFER_BYTES) this.#flush();
    return this.#filling.length + bytes <= BUFFER_BYTES;
  }

  #put(line: string): void {
    const half = this.#filling;
    half.length += half.bytes.write(line, half.length, 'latin1');
    this.#soon();
  }

  #flush(): void {
    if (this.#busy || this.#filling.length === 0) return;
    [this.#filling, this.#leaving] = [this.#leaving, this.#filling];
    this.#busy = true;
    this.#writeOn();
  }

  #writeOn(): void {
    const half = this.#leaving;
    if (half.written < half.length) {
      const length = this.#chunkEnd(half) - half.written;
      this.#writer.write(half.bytes, half.written, length, (error, written) => this.#wrote(half, error, written));
      return;
    }
    half.length = 0;
    half.written = 0;
    this.#busy = false;
    if (this.#whenEmpty) this.#settle();
  }

  #wrote(half: Half, error: NodeJS.ErrnoException | null, written: number): void {
    if (error?.code === 'EAGAIN' || (!error && written === 0)) {
      setTimeout(() => this.#writeOn(), RETRY_MS).unref();
      return;
    }
    // The reader is gone for good, and only the metrics can report it.
    if (error) this.#drop(countLines(half));
    half.written = error ? half.length : half.written + written;
    this.#writeOn();
  }

  /** The end of the last whole line that fits into one chunk. */
  #chunkEnd({ bytes, length, written }: Half): number {
    const end = written + this.#writer.chunkBytes;
    return end >= length ? length : bytes.lastIndexOf(NEWLINE, end - 1) + 1;
  }

  #settle(): void {
    this.#flush();
    if (!this.#busy) this.#whenEmpty?.();
  }
}

function countLines({ bytes, length, written }: Half): number {
  return bytes.subarray(written, length).reduce((lines, byte) => (byte === NEWLINE ? lines + 1 : lines), 0);
}
