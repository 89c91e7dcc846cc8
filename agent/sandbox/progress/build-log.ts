/**
 * Turns BuildKit's progress into a log that reads from top to bottom, and collects the data for errors and the summary.
 * Each command of the Dockerfile has a head line, "[2/5] RUN npm ci", followed by its output and its duration.
 */
import type { StepLog } from '../../deployment/ports.ts';
import { cutText } from '../../lib/cut.ts';
import { humanSize } from '../../../protocol/size.ts';
import { type Lines, makeLines } from './lines.ts';
import type { BuildStatus, Vertex, VertexLog, VertexTransfer } from './build-status.ts';
import { CommandOutput } from './command-output.ts';

const LAST_LINES = 25;
const MAX_LINE_CHARACTERS = 500;
/** Output kept per vertex, for its last lines. */
const TAIL_BYTES = 16_384;
/** Interval between lines about something in progress: a progress bar, a pull. */
const SHOW_EVERY_MS = 5000;
/** BuildKit's internal work (loading the context, writing the image) is logged if it takes at least this long. */
const WORTH_A_LINE_SECONDS = 0.5;
const MAX_TRANSFERS = 256;

export interface FailedVertex {
  /** The Dockerfile line: "RUN npm ci". */
  readonly command: string;
  readonly error: string;
  readonly lastLines: readonly string[];
}

/** A finished command of the Dockerfile. */
export interface BuiltStep {
  /** "[2/5] RUN npm ci" */
  readonly name: string;
  readonly cached: boolean;
  readonly seconds: number;
}

interface Progress {
  vertex: Vertex;
  ended: boolean;
  tail: Buffer;
  readonly lines: Lines;
  readonly transfers: Map<string, VertexTransfer>;
  /** Monotonic time of the last line about it, ms. */
  shownAt: number;
}

export class BuildLog {
  readonly #output: CommandOutput;
  readonly #now: () => number;
  /** By digest. */
  readonly #known = new Map<string, Progress>();
  readonly #steps: BuiltStep[] = [];
  #failed: FailedVertex | null = null;

  /** @param now monotonic clock, ms */
  constructor(log: StepLog, now: () => number) {
    this.#output = new CommandOutput(log);
    this.#now = now;
  }

  /** Null while no command has failed. */
  get failed(): FailedVertex | null {
    return this.#failed;
  }

  get steps(): readonly BuiltStep[] {
    return this.#steps;
  }

  take({ vertexes, logs, transfers }: BuildStatus): void {
    for (const vertex of vertexes) this.#progressOf(vertex).vertex = vertex;
    // Output first: what arrives along with a command's end belongs above it.
    for (const log of logs) this.#takeOutput(log);
    for (const transfer of transfers) this.#takeTransfer(transfer);
    for (const { digest } of vertexes) {
      const progress = this.#known.get(digest);
      if (progress === undefined || progress.ended) continue;
      if (isInternal(progress.vertex)) this.#takeInternal(progress);
      else this.#takeStep(progress);
    }
  }

  /** The engine builds again: what failed or was cut off runs once more. */
  again(): void {
    this.#failed = null;
    for (const [digest, progress] of this.#known) {
      if (progress.ended && progress.vertex.error === '') continue;
      this.#flush(progress);
      this.#known.delete(digest);
    }
  }

  /** Shows the unfinished last lines of commands. */
  end(): void {
    for (const progress of this.#known.values()) this.#flush(progress);
  }

  #progressOf(vertex: Vertex): Progress {
    const known = this.#known.get(vertex.digest);
    if (known) return known;
    const progress: Progress = {
      vertex,
      ended: false,
      tail: Buffer.alloc(0),
      lines: makeLines(),
      transfers: new Map(),
      shownAt: this.#now(),
    };
    this.#known.set(vertex.digest, progress);
    return progress;
  }

  #takeOutput({ vertex, bytes }: VertexLog): void {
    const progress = this.#known.get(vertex);
    if (progress === undefined || bytes.length === 0) return;
    progress.tail = Buffer.concat([progress.tail, bytes]).subarray(-TAIL_BYTES);
    progress.lines.push(bytes, (finished) => this.#show(progress, finished));
    if (progress.lines.isBar() && this.#isDue(progress)) this.#flush(progress);
  }

  #takeTransfer(transfer: VertexTransfer): void {
    const progress = this.#known.get(transfer.vertex);
    if (progress === undefined || progress.ended) return;
    if (progress.transfers.size < MAX_TRANSFERS || progress.transfers.has(transfer.id)) {
      progress.transfers.set(transfer.id, transfer);
    }
    if (!this.#isDue(progress)) return;
    progress.shownAt = this.#now();
    this.#output.note(`${titleOf(progress.vertex)}${moved(progress)} …`);
  }

  #takeStep(progress: Progress): void {
    const { vertex } = progress;
    if (vertex.cached) {
      this.#output.announce(vertex, ' (cached)');
      this.#endStep(progress, true);
    } else if (vertex.error !== '') {
      this.#flush(progress);
      this.#output.say(vertex, `failed: ${vertex.error}`);
      this.#failed ??= { command: commandOf(vertex), error: vertex.error, lastLines: linesOf(progress.tail) };
      this.#end(progress);
    } else if (vertex.seconds !== null) {
      this.#flush(progress);
      this.#output.say(vertex, `done in ${vertex.seconds.toFixed(1)} s`);
      this.#endStep(progress, false);
    } else if (vertex.started && !this.#output.isAnnounced(vertex)) {
      this.#output.announce(vertex);
      progress.shownAt = this.#now();
    }
  }

  /** BuildKit's internal work: one line at its end, if it took long enough. */
  #takeInternal(progress: Progress): void {
    const { seconds, error } = progress.vertex;
    if (seconds === null || error !== '') return;
    this.#end(progress);
    if (seconds < WORTH_A_LINE_SECONDS) return;
    this.#output.note(`${titleOf(progress.vertex)}${moved(progress)} in ${seconds.toFixed(1)} s`);
  }

  #endStep(progress: Progress, cached: boolean): void {
    const { name, seconds } = progress.vertex;
    this.#end(progress);
    progress.tail = Buffer.alloc(0);
    this.#steps.push({ name, cached, seconds: cached ? 0 : (seconds ?? 0) });
  }

  #end(progress: Progress): void {
    progress.ended = true;
    this.#output.end(progress.vertex);
  }

  #flush(progress: Progress): void {
    const rest = progress.lines.pending();
    if (rest.length > 0) this.#show(progress, Buffer.concat([rest, Buffer.from('\n')]));
    progress.lines.clear();
  }

  #show(progress: Progress, bytes: Buffer): void {
    this.#output.write(progress.vertex, bytes);
    progress.shownAt = this.#now();
  }

  /** Whether something in progress gets another line. */
  #isDue({ shownAt }: Progress): boolean {
    return this.#now() - shownAt >= SHOW_EVERY_MS;
  }
}

/** Loading of context and metadata, which is in no Dockerfile, and base images, which are supplied beforehand. */
const isInternal = ({ name }: Vertex): boolean => !/^\[(?!internal)/.test(name) || /^\[[^\]]*\] FROM /.test(name);
const commandOf = ({ name }: Vertex): string => name.replace(/^\[[^\]]*\]\s*/, '').slice(0, MAX_LINE_CHARACTERS);
const titleOf = ({ name }: Vertex): string => name.replace(/^\[internal\]\s*/, '').slice(0, MAX_LINE_CHARACTERS);

/** ": 12 MiB of 40 MiB", the sum of a vertex's transfers. */
function moved({ transfers }: Progress): string {
  const all = [...transfers.values()];
  const [done, total] = [sum(all.map(({ current }) => current)), sum(all.map((one) => one.total))];
  if (done === 0) return '';
  return total > done ? `: ${humanSize(done)} of ${humanSize(total)}` : `: ${humanSize(done)}`;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

function linesOf(tail: Buffer): string[] {
  const lines = tail.toString('utf8').split(/[\r\n]+/);
  // Drop the first, truncated line: it might begin within a secret, which could then not be recognized.
  if (tail.length === TAIL_BYTES) lines.shift();
  const written = lines.filter((line) => line.trim() !== '');
  return written.slice(-LAST_LINES).map((line) => cutText(line, MAX_LINE_CHARACTERS));
}
