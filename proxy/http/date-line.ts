/** The time of an answer, for apps that do not say it (RFC 9110 section 6.6.1): made once a second. */
import type { Clock } from '../clock.ts';

/** As a line in a head of HTTP/1.1. */
const CONNECTION_CLOSE = Buffer.from('Connection: close\r\n', 'latin1');

export class DateLine {
  readonly #clock: Clock;
  #second = NaN;
  #text = '';
  /** With its end, and the same with `Connection: close` behind it. */
  #line: Buffer = Buffer.alloc(0);
  #lastLine: Buffer = Buffer.alloc(0);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As the value of a field. */
  get text(): string {
    this.#look();
    return this.#text;
  }

  /** Our lines in the head of an app's answer; null: none. @param isLast of the connection, which is said too */
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
