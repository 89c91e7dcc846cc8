/** The requests that an upstream recorded, as they arrive. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

export class SeenRequests {
  readonly #file: string;
  #offset = 0;
  #rest = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** New lines since the last call, as `METHOD TARGET`. */
  next(): string[] {
    if (!existsSync(this.#file)) return [];
    const file = openSync(this.#file, 'r');
    const parts = [this.#rest];
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      const bytes = readSync(file, buffer, 0, buffer.length, this.#offset);
      if (bytes === 0) break;
      this.#offset += bytes;
      parts.push(buffer.toString('latin1', 0, bytes));
    }
    closeSync(file);
    const lines = parts.join('').split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => line.split(' ').slice(0, 2).join(' '));
  }
}
