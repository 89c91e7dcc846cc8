/** A log in memory: takes raw bytes of a step or lines of an app, and keeps the last lines. Pure. */
import { LogLines, freshBytes } from '../../../../protocol/log-lines.ts';

/** Lines kept and rendered. The download has the whole log of a step, or an app's newest lines. */
const MAX_LINES = 5000;
/** The same limit in characters: lines may be long, and a browser that lays out tens of millions of them hangs. */
const MAX_CHARACTERS = 2_000_000;

export class LogBuffer {
  /** Number of the first line that is still kept; grows when old lines are dropped. */
  first = 0;
  readonly #limit: number;
  readonly #splitter = new LogLines();
  #lines: string[] = [];
  #characters = 0;
  #bytes = 0;

  constructor(limit = MAX_LINES) {
    this.#limit = limit;
  }

  /** Adds a log event. Skips bytes that were seen before (after a reconnect). */
  append(data: string, offset: number): void {
    const bytes = freshBytes(data, offset, this.#bytes);
    this.#bytes = Math.max(this.#bytes, offset) + bytes.length;
    this.#keep(this.#splitter.push(bytes));
  }

  /** Adds whole lines. */
  add(lines: readonly string[]): void {
    this.#keep(lines);
  }

  /** The step has ended: flush a last line without newline. */
  end(): void {
    this.#keep(this.#splitter.end());
  }

  /** Complete lines from number `from` on, as far as they are kept. */
  since(from: number): readonly string[] {
    return this.#lines.slice(Math.max(0, from - this.first));
  }

  /** Number of the next complete line. */
  get next(): number {
    return this.first + this.#lines.length;
  }

  /** The incomplete last line: a prompt, a progress bar. */
  get open(): string {
    return this.#splitter.open;
  }

  /** Bytes of the step's log seen so far. */
  get bytes(): number {
    return this.#bytes;
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      this.#lines.push(line);
      this.#characters += line.length;
    }
    let excess = 0;
    while (this.#lines.length - excess > this.#limit || this.#characters > MAX_CHARACTERS) {
      this.#characters -= this.#lines[excess]?.length ?? 0;
      excess += 1;
    }
    if (excess === 0) return;
    this.#lines = this.#lines.slice(excess);
    this.first += excess;
  }
}
