/**
 * Request ids: a random prefix per process and a counter. They identify requests in logs, and need not be unguessable.
 */
import { randomBytes } from 'node:crypto';

const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Digits of the random prefix, then of the counter. */
const PREFIX = 16;
const COUNT = 12;

export class RequestIds {
  readonly #prefix = randomBytes(PREFIX / 2).toString('hex');
  readonly #bytes = Buffer.from(this.#prefix, 'latin1');
  /** The prefix and the padding zeros, by number of digits of the count. */
  readonly #padded = Array.from({ length: COUNT + 1 }, (_, digits) => this.#prefix + '0'.repeat(COUNT - digits));
  #count = 0;

  next(): number {
    this.#count += 1;
    return this.#count;
  }

  text(count: number): string {
    const digits = count.toString(16);
    return `${this.#padded[digits.length] ?? this.#prefix}${digits}`;
  }

  /** @returns the offset after the id */
  write(count: number, out: Buffer, at: number): number {
    out.set(this.#bytes, at);
    let rest = count;
    for (let index = at + PREFIX + COUNT - 1; index >= at + PREFIX; index -= 1) {
      out[index] = DIGITS[rest % 16] as number;
      rest = Math.floor(rest / 16);
    }
    return at + PREFIX + COUNT;
  }
}
