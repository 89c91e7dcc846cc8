/** Output of a command: tables and sentences for people, JSON for programs. Nothing else writes to stdout. */
import { once } from 'node:events';
import { styleText } from 'node:util';
import { type ErrorCode, ERRORS } from '../../protocol/error-catalogue.ts';
import { toErrorReport, toProblem } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Terminal } from './terminal.ts';
import { safeLine } from '../../protocol/safe-text.ts';

type Style = Parameters<typeof styleText>[0];

export class Output {
  readonly json: boolean;
  /** True on a terminal: lines may be rewritten and colours are used. */
  readonly live: boolean;
  readonly colors: boolean;
  readonly #terminal: Terminal;
  readonly #hubUrl: string | undefined;

  /** @param options hubUrl: base URL of the documentation pages that messages name */
  constructor(terminal: Terminal, options: { json: boolean; noColor: boolean; hubUrl?: string | undefined }) {
    this.#terminal = terminal;
    this.#hubUrl = options.hubUrl;
    this.json = options.json;
    this.live = !options.json && terminal.stdout.isTTY === true;
    this.colors = this.live && !options.noColor;
  }

  /** One line for people; silent with --json. */
  line(text = ''): void {
    if (!this.json) this.raw(`${text}\n`);
  }

  /** One JSON document on a line; silent without --json. */
  object(value: unknown): void {
    if (this.json) this.raw(`${JSON.stringify(value)}\n`);
  }

  raw(text: string | Uint8Array): void {
    this.#terminal.stdout.write(text);
  }

  /** Like raw, but waits while stdout applies backpressure. */
  async rawWaiting(text: string | Uint8Array): Promise<void> {
    if (!this.#terminal.stdout.write(text)) await once(this.#terminal.stdout, 'drain');
  }

  /** A remark for people, on stderr; silent with --json. */
  note(text: string): void {
    if (!this.json) this.#terminal.stderr.write(`${text}\n`);
  }

  style(style: Style, text: string): string {
    return this.colors ? styleText(style, text, { validateStream: false }) : text;
  }

  /** Rows in aligned columns below dim headings. Cells are plain text; `paint` colours a cell after padding. */
  table(headings: string[], rows: string[][], paint: (cell: string, column: number) => string = (cell) => cell): void {
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
    );
    const join = (cells: string[], painted: (cell: string, column: number) => string): string =>
      cells
        .map((cell, column) => {
          const gap = column === cells.length - 1 ? '' : ' '.repeat((widths[column] ?? 0) - cell.length + 2);
          return painted(cell, column) + gap;
        })
        .join('')
        .trimEnd();
    this.line(join(headings, (cell) => this.style('dim', cell)));
    for (const row of rows) this.line(join(row, paint));
  }

  /** `name   value` lines; pairs without a value are left out. */
  fields(pairs: [string, string | null | undefined][]): void {
    const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
    const width = Math.max(...known.map(([name]) => name.length));
    for (const [name, value] of known) this.line(`${this.style('dim', name.padEnd(width))}  ${value}`);
  }

  /** How to fix an error, in a sentence. Names of documentation pages become URLs of the hub. */
  mendOf(code: ErrorCode): string {
    const { mend } = ERRORS[code];
    return this.#hubUrl === undefined ? mend : mend.replaceAll(/docs\/[a-z-]+\.md/g, `${this.#hubUrl}/$&`);
  }

  /** A coded error as lines: what happened, the evidence, what to do. It may contain output of an app. */
  report({ code, message, evidence }: ErrorReport): string[] {
    return [
      `${this.style(['bold', 'red'], code)}  ${safeLine(message, false)}`,
      ...evidence.map((fact) => this.style('dim', `  │ ${safeLine(fact, false)}`)),
      `${this.style('bold', 'What to do:')} ${this.mendOf(code)}`,
    ];
  }

  /** Reports a failed command: a problem document on stdout with --json, else text on stderr. */
  failure(error: unknown): void {
    const report = toErrorReport(error);
    if (this.json) {
      this.object(toProblem(report));
      return;
    }
    const lines = [
      `orkestr: ${safeLine(report.message, false)}`,
      ...report.evidence.map((fact) => `  │ ${safeLine(fact, false)}`),
      `${this.mendOf(report.code)} (${report.code})`,
    ];
    this.#terminal.stderr.write(`${lines.join('\n')}\n`);
  }
}

const STATUS_STYLES: Readonly<Record<string, Style>> = {
  live: 'green',
  done: 'green',
  online: 'green',
  healthy: 'green',
  ordered: 'cyan',
  fetching: 'cyan',
  trial: 'cyan',
  switching: 'cyan',
  paused: 'red',
  reverted: 'red',
  running: 'cyan',
  queued: 'cyan',
  failed: 'red',
  offline: 'red',
  refused: 'red',
  cancelled: 'yellow',
  skipped: 'dim',
  superseded: 'dim',
};

/** The colour of a status word; other words stay plain. */
export const statusStyle = (status: string): Style => STATUS_STYLES[status] ?? 'reset';
