/**
 * Turns BuildKit's progress into a log that reads from top to bottom, and collects the data for errors and the summary.
 *
 * Each command of the Dockerfile has a head line, "[2/5] RUN npm ci", followed by its output and its duration. While
 * several commands run at once, each line is prefixed with its command, "[web 2/5] ".
 */
import type { StepLog } from '../deployment/ports.ts';
import { cutText } from '../lib/cut.ts';
import { humanSize } from '../../protocol/size.ts';
import { type Lines, makeLines } from './build-line.ts';
import type { BuildStatus, Vertex, VertexTransfer } from './build-status.ts';

const LAST_LINES = 25;
const MAX_LINE_CHARACTERS = 500;
/** Output kept per vertex, for its last lines. */
const TAIL_BYTES = 16_384;
/** Interval between lines about something in progress: a progress bar, a pull. */
const TELL_EVERY_MS = 5000;
/** BuildKit's internal work (loading the context, writing the image) is logged if it takes at least this long. */
const WORTH_TELLING_SECONDS = 0.5;
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

interface BuildLog {
  take(status: BuildStatus): void;
  /** Shows the unfinished last lines of commands. */
  end(): void;
  failed(): FailedVertex | null;
  steps(): readonly BuiltStep[];
}

interface Progress {
  vertex: Vertex;
  announced: boolean;
  ended: boolean;
  tail: Buffer;
  readonly lines: Lines;
  readonly transfers: Map<string, VertexTransfer>;
  toldAt: number;
}

/** @param now monotonic clock, ms */
export function makeBuildLog(log: StepLog, now: () => number): BuildLog {
  const known = new Map<string, Progress>();
  const steps: BuiltStep[] = [];
  /** The command whose head line or output came last. */
  let speaking: Progress | undefined;
  let atLineStart = true;
  let failed: FailedVertex | null = null;

  const line = (text: string): void => {
    if (!atLineStart) log.write(Buffer.from('\n'));
    atLineStart = true;
    log.line(text);
  };

  const isAlone = (progress: Progress): boolean =>
    [...known.values()].every((other) => other === progress || !other.announced || other.ended);

  const announce = (progress: Progress, note = ''): void => {
    progress.announced = true;
    speaking = progress;
    progress.toldAt = now();
    line(`${progress.vertex.name}${note}`);
  };

  /** Attributes the next line to its command, by a head line above it or by a returned prefix. */
  const introduce = (progress: Progress): string => {
    if (!progress.announced) announce(progress);
    if (!isAlone(progress)) {
      speaking = undefined;
      return `${markOf(progress.vertex)} `;
    }
    if (speaking !== progress) announce(progress, ' …');
    return '';
  };

  const say = (progress: Progress, text: string): void => line(`${introduce(progress)}${text}`);

  const show = (progress: Progress, bytes: Buffer): void => {
    const goesOn = !atLineStart && speaking === progress;
    const mark = goesOn ? '' : introduce(progress);
    if (!goesOn && !atLineStart) log.write(Buffer.from('\n'));
    log.write(mark === '' ? bytes : Buffer.concat([Buffer.from(mark), bytes]));
    atLineStart = bytes.at(-1) === 0x0a;
    if (!atLineStart) speaking = progress;
    progress.toldAt = now();
  };

  const flush = (progress: Progress): void => {
    const rest = progress.lines.pending();
    if (rest.length > 0) show(progress, Buffer.concat([rest, Buffer.from('\n')]));
    progress.lines.clear();
  };

  const progressOf = (vertex: Vertex): Progress => {
    const fresh = (): Progress => ({
      vertex,
      announced: false,
      ended: false,
      tail: Buffer.alloc(0),
      lines: makeLines(),
      transfers: new Map(),
      toldAt: now(),
    });
    const progress = known.get(vertex.digest) ?? fresh();
    known.set(vertex.digest, progress);
    return progress;
  };

  const endStep = (progress: Progress, cached: boolean): void => {
    progress.ended = true;
    progress.tail = Buffer.alloc(0);
    steps.push({ name: progress.vertex.name, cached, seconds: cached ? 0 : (progress.vertex.seconds ?? 0) });
  };

  const takeStep = (progress: Progress): void => {
    const { vertex } = progress;
    if (vertex.cached) {
      announce(progress, ' (cached)');
      endStep(progress, true);
    } else if (vertex.error !== '') {
      flush(progress);
      say(progress, `failed: ${vertex.error}`);
      failed ??= { command: commandOf(vertex), error: vertex.error, lastLines: linesOf(progress.tail) };
      progress.ended = true;
    } else if (vertex.seconds !== null) {
      flush(progress);
      say(progress, `done in ${vertex.seconds.toFixed(1)} s`);
      endStep(progress, false);
    } else if (vertex.started && !progress.announced) {
      announce(progress);
    }
  };

  /** BuildKit's internal work: one line at its end, if it took long enough. */
  const takeInternal = (progress: Progress): void => {
    const { seconds, error } = progress.vertex;
    if (seconds === null || error !== '') return;
    progress.ended = true;
    if (seconds < WORTH_TELLING_SECONDS) return;
    speaking = undefined;
    line(`${titleOf(progress.vertex)}${moved(progress)} in ${seconds.toFixed(1)} s`);
  };

  const takeTransfer = (transfer: VertexTransfer): void => {
    const progress = known.get(transfer.vertex);
    if (progress === undefined || progress.ended) return;
    if (progress.transfers.size < MAX_TRANSFERS || progress.transfers.has(transfer.id)) {
      progress.transfers.set(transfer.id, transfer);
    }
    if (now() - progress.toldAt < TELL_EVERY_MS) return;
    progress.toldAt = now();
    speaking = undefined;
    line(`${titleOf(progress.vertex)}${moved(progress)} …`);
  };

  return {
    take({ vertexes, logs, transfers }) {
      for (const vertex of vertexes) progressOf(vertex).vertex = vertex;
      // Output first: what arrives along with a command's end belongs above it.
      for (const { vertex, bytes } of logs) {
        const progress = known.get(vertex);
        if (progress === undefined || bytes.length === 0) continue;
        progress.tail = Buffer.concat([progress.tail, bytes]).subarray(-TAIL_BYTES);
        progress.lines.push(bytes, (finished) => show(progress, finished));
        if (progress.lines.isBar() && now() - progress.toldAt >= TELL_EVERY_MS) flush(progress);
      }
      for (const transfer of transfers) takeTransfer(transfer);
      for (const { digest } of vertexes) {
        const progress = known.get(digest);
        if (progress === undefined || progress.ended) continue;
        if (isInternal(progress.vertex)) takeInternal(progress);
        else takeStep(progress);
      }
    },
    end() {
      for (const progress of known.values()) flush(progress);
    },
    failed: () => failed,
    steps: () => steps,
  };
}

/** Loading of context and metadata, which is in no Dockerfile, and base images, which are supplied beforehand. */
const isInternal = ({ name }: Vertex): boolean => !/^\[(?!internal)/.test(name) || /^\[[^\]]*\] FROM /.test(name);
const commandOf = ({ name }: Vertex): string => name.replace(/^\[[^\]]*\]\s*/, '').slice(0, MAX_LINE_CHARACTERS);
/** "[web 2/5]" */
const markOf = ({ name }: Vertex): string => /^\[[^\]]*\]/.exec(name)?.[0] ?? '';
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
  const said = lines.filter((line) => line.trim() !== '');
  return said.slice(-LAST_LINES).map((line) => cutText(line, MAX_LINE_CHARACTERS));
}
