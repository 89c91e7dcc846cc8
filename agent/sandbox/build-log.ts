/** Turns BuildKit's progress into a log that reads from top to bottom, and remembers what a failure needs. */
import type { StepLog } from '../deployment/ports.ts';
import type { BuildStatus, Vertex } from './build-status.ts';

const LAST_LINES = 25;
const MAX_LINE_CHARACTERS = 500;
/** Output that is kept per vertex to show its last lines. */
const TAIL_BYTES = 16_384;

export interface FailedVertex {
  /** The line of the Dockerfile: "RUN npm ci". */
  readonly command: string;
  readonly error: string;
  readonly lastLines: readonly string[];
}

export interface BuildLog {
  take(status: BuildStatus): void;
  failed(): FailedVertex | null;
}

interface Progress {
  vertex: Vertex;
  announced: boolean;
  ended: boolean;
  tail: Buffer;
}

export function makeBuildLog(log: StepLog): BuildLog {
  const known = new Map<string, Progress>();
  let speaking: string | undefined;
  let atLineStart = true;
  let failed: FailedVertex | null = null;

  const line = (text: string): void => {
    if (!atLineStart) log.write(Buffer.from('\n'));
    atLineStart = true;
    log.line(text);
  };

  /** The head line of a vertex, also when it speaks again after another one did. */
  const announce = (progress: Progress, note = ''): void => {
    if (progress.announced && speaking === progress.vertex.digest && note === '') return;
    progress.announced = true;
    speaking = progress.vertex.digest;
    line(`${progress.vertex.name}${note}`);
  };

  const progressOf = (vertex: Vertex): Progress => {
    const progress = known.get(vertex.digest) ?? { vertex, announced: false, ended: false, tail: Buffer.alloc(0) };
    known.set(vertex.digest, progress);
    return progress;
  };

  const takeVertex = (vertex: Vertex): void => {
    const progress = progressOf(vertex);
    progress.vertex = vertex;
    if (progress.ended || isInternal(vertex)) return;
    if (vertex.cached) {
      progress.ended = true;
      announce(progress, ' (cached)');
    } else if (vertex.error !== '') {
      progress.ended = true;
      announce(progress);
      line(`failed: ${vertex.error}`);
      failed ??= { command: commandOf(vertex), error: vertex.error, lastLines: linesOf(progress.tail) };
    } else if (vertex.seconds !== null) {
      progress.ended = true;
      announce(progress);
      line(`done in ${vertex.seconds.toFixed(1)} s`);
      progress.tail = Buffer.alloc(0);
    } else if (vertex.started && !progress.announced) {
      announce(progress);
    }
  };

  return {
    take({ vertexes, logs }) {
      for (const vertex of vertexes) progressOf(vertex);
      // Output first: what came together with the end of a command belongs above it.
      for (const { vertex, bytes } of logs) {
        const progress = known.get(vertex);
        if (progress === undefined || bytes.length === 0) continue;
        announce(progress);
        log.write(bytes);
        atLineStart = bytes.at(-1) === 0x0a;
        progress.tail = Buffer.concat([progress.tail, bytes]).subarray(-TAIL_BYTES);
      }
      for (const vertex of vertexes) takeVertex(vertex);
    },
    failed: () => failed,
  };
}

/** Loading of context and metadata, which no author of a Dockerfile wrote, and base images, which are here already. */
const isInternal = ({ name }: Vertex): boolean => !/^\[(?!internal)/.test(name) || /^\[[^\]]*\] FROM /.test(name);
const commandOf = ({ name }: Vertex): string => name.replace(/^\[[^\]]*\]\s*/, '').slice(0, MAX_LINE_CHARACTERS);

function linesOf(tail: Buffer): string[] {
  const lines = tail
    .toString('utf8')
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== '');
  return lines.slice(-LAST_LINES).map((line) => line.slice(0, MAX_LINE_CHARACTERS));
}
