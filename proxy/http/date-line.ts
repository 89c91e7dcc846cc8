/** The Date field for responses of apps that do not set it (RFC 9110 section 6.6.1), formatted once a second. */
import type { Clock } from '../clock.ts';

/** A line of an HTTP/1.1 head. */
const CONNECTION_CLOSE = Buffer.from('Connection: close\r\n', 'latin1');

export class DateLine {
  readonly #clock: Clock;
  #second = NaN;
  #text = '';
  /** The Date line with its CRLF, and the same followed by `Connection: close`. */
  #line: Buffer = Buffer.alloc(0);
  #lastLine: Buffer = Buffer.alloc(0);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The field value. */
  get text(): string {
    this.#look();
    return this.#text;
  }

  /**
   * The lines to add to the head of an app's response; null: none.
   * @param isLast the response is the last on its connection, and has to say so
   */
  linesFor({ hasDate }: { readonly hasDate: boolean }, isLast: boolean): Buffer | null {
    if (hasDate) return isLast ? CONNECTION_CLOSE : null;
    this.#look();
    return isLast ? this.#lastLine : this.#line;
  }

  #look(): void {
    const now = this.#clock.now();
    const second = Math.floor(now.getTime() / 1000);
    if (second === this.#second) return;
    this.#second = second;
    this.#text = now.toUTCString();
    this.#line = Buffer.from(`Date: ${this.#text}\r\n`, 'latin1');
    this.#lastLine = Buffer.concat([this.#line, CONNECTION_CLOSE]);
  }
}
