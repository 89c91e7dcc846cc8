/**
 * Turns BuildKit's progress into a log that reads from top to bottom, and remembers what a failure and the summary need.
 *
 * Each command of the Dockerfile has a head line, "[2/5] RUN npm ci", with its output below and its time at the end. While
 * several run at once each of their lines begins with whose it is, "[web 2/5] ".
 */
import type { StepLog } from '../deployment/ports.ts';
import { cutText } from '../lib/cut.ts';
import { humanSize } from '../../protocol/size.ts';
import { type Lines, makeLines } from './build-line.ts';
import type { BuildStatus, Vertex, VertexTransfer } from './build-status.ts';

const LAST_LINES = 25;
const MAX_LINE_CHARACTERS = 500;
/** Output that is kept per vertex to show its last lines. */
const TAIL_BYTES = 16_384;
/** How often something that goes on is told of: a progress bar, a pull. */
const TELL_EVERY_MS = 5000;
/** What BuildKit does besides (loading the context, writing the image) is told of when it takes this long. */
const WORTH_TELLING_SECONDS = 0.5;
const MAX_TRANSFERS = 256;

export interface FailedVertex {
  /** The line of the Dockerfile: "RUN npm ci". */
  readonly command: string;
  readonly error: string;
  readonly lastLines: readonly string[];
}

/** A command of the Dockerfile that is done. */
export interface BuiltStep {
  /** "[2/5] RUN npm ci" */
  readonly name: string;
  readonly cached: boolean;
  readonly seconds: number;
}

interface BuildLog {
  take(status: BuildStatus): void;
  /** Shows what commands wrote last without ending their line. */
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

/** @param now ms, only growing */
export function makeBuildLog(log: StepLog, now: () => number): BuildLog {
  const known = new Map<string, Progress>();
  const steps: BuiltStep[] = [];
  /** Whose head line or output stands last. */
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

  /** Says whose the next line is: by the head line above it, or by a mark in front of it, which is answered. */
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

  /** Work of BuildKit's own: one line at its end when it took its time, or moved something. */
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
      // Output first: what came together with the end of a command belongs above it.
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

/** Loading of context and metadata, which no author of a Dockerfile wrote, and base images, which are here already. */
const isInternal = ({ name }: Vertex): boolean => !/^\[(?!internal)/.test(name) || /^\[[^\]]*\] FROM /.test(name);
const commandOf = ({ name }: Vertex): string => name.replace(/^\[[^\]]*\]\s*/, '').slice(0, MAX_LINE_CHARACTERS);
/** "[web 2/5]" */
const markOf = ({ name }: Vertex): string => /^\[[^\]]*\]/.exec(name)?.[0] ?? '';
const titleOf = ({ name }: Vertex): string => name.replace(/^\[internal\]\s*/, '').slice(0, MAX_LINE_CHARACTERS);

/** ": 12 MiB of 40 MiB", from all that a vertex moves. */
function moved({ transfers }: Progress): string {
  const all = [...transfers.values()];
  const [done, total] = [sum(all.map(({ current }) => current)), sum(all.map((one) => one.total))];
  if (done === 0) return '';
  return total > done ? `: ${humanSize(done)} of ${humanSize(total)}` : `: ${humanSize(done)}`;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

function linesOf(tail: Buffer): string[] {
  const lines = tail.toString('utf8').split(/[\r\n]+/);
  // Of a line without its beginning nobody could tell whether it ends a secret.
  if (tail.length === TAIL_BYTES) lines.shift();
  const said = lines.filter((line) => line.trim() !== '');
  return said.slice(-LAST_LINES).map((line) => cutText(line, MAX_LINE_CHARACTERS));
}
