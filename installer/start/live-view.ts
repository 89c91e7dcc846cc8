/**
 * The screen while orkestr runs: lines that scroll, and below them a block that is redrawn. Without a terminal, there
 * are only the lines.
 */
import { styleText } from 'node:util';

interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Moves n lines up to the first column and clears everything below (ECMA-48 CUU, CR, ED). */
const upAndClear = (lines: number): string => (lines === 0 ? '' : `\u001b[${lines}A\r\u001b[0J`);

export class LiveView {
  readonly #screen: Screen;
  #block: readonly string[] = [];

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Prints a line that stays. */
  line(text: string): void {
    if (!this.#screen.isTTY) this.#screen.write(`${text}\n`);
    else this.#screen.write(`${upAndClear(this.#block.length)}${text}\n${this.#text(this.#block)}`);
  }

  /** Replaces the block below the lines. */
  block(lines: readonly string[]): void {
    if (!this.#screen.isTTY) return;
    const cut = lines.map((line) => line.slice(0, Math.max(20, (this.#screen.columns || 80) - 1)));
    if (cut.length === this.#block.length && cut.every((line, index) => line === this.#block[index])) return;
    this.#screen.write(`${upAndClear(this.#block.length)}${this.#text(cut)}`);
    this.#block = cut;
  }

  #text(lines: readonly string[]): string {
    return lines.map((line) => `${styleText('dim', line, { validateStream: false })}\n`).join('');
  }
}
