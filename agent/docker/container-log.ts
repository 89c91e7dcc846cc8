/** A container's output as Docker keeps it: a stream of pieces, each with its time, read no faster than consumed. */
import { LINE_TIME } from '../../protocol/app-log.ts';
import type { LineTime } from '../../protocol/app-log.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Engine } from '../lib/engine.ts';
import { callHttp } from '../lib/http-call.ts';
import { framesOf } from './streams.ts';
import type { Frame } from './streams.ts';

/** A line, or a part of one that is longer than 16 KiB: only its last part has the newline. */
export interface LogPiece {
  readonly at: LineTime;
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

export interface ContainerLogRequest {
  /** Number of newest existing lines; null: all of them. */
  readonly tail: number | null;
  /** Only lines at or after this time, ns since the epoch; null: all. */
  readonly since: bigint | null;
  /** Continue until the container stops. */
  readonly follow: boolean;
}

export type OpenContainerLog = (
  name: string,
  request: ContainerLogRequest,
  signal: AbortSignal,
) => Promise<AsyncIterable<readonly LogPiece[]> | null>;

const MOST_WORDS = 500;

/**
 * The log of a container; null if there is none of that name. The engine's deadline covers only the start of its
 * response: an app may be silent for days.
 */
export const containerLogs =
  (engine: Engine): OpenContainerLog =>
  async (name, request, signal) => {
    const answer = await engine.call(`read the log of ${name}`, (_docker, deadline) =>
      callHttp({
        peer: { socketPath: engine.socketPath },
        method: 'GET',
        path: `/containers/${encodeURIComponent(name)}/logs?${query(request).toString()}`,
        signal: AbortSignal.any([signal, deadline]),
      }),
    );
    if (answer.statusCode === 200) return piecesOf(answer, signal);
    if (answer.statusCode === 404) {
      answer.destroy();
      return null;
    }
    let words = '';
    for await (const part of answer) words = `${words}${String(part)}`.slice(0, MOST_WORDS);
    throw new OrkestrError(
      'ORK_INTERNAL',
      `Docker Engine returned no log of ${name} (HTTP ${answer.statusCode ?? 0}): ${words}`,
    );
  };

function query({ tail, since, follow }: ContainerLogRequest): URLSearchParams {
  return new URLSearchParams({
    stdout: '1',
    stderr: '1',
    timestamps: '1',
    follow: follow ? '1' : '0',
    tail: tail === null ? 'all' : String(tail),
    ...(since !== null && { since: `${since / SECOND}.${String(since % SECOND).padStart(9, '0')}` }),
  });
}

const SECOND = 1_000_000_000n;

/** Converts a time of Docker to ns since the epoch. */
export function nanoseconds(at: LineTime): bigint {
  const [seconds = '', fraction = ''] = at.slice(0, -1).split('.');
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

const SPACE = 0x20;

async function* piecesOf(answer: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<readonly LogPiece[]> {
  const pieceOf = makePieces();
  try {
    for await (const frames of framesOf(answer)) yield frames.flatMap((frame) => pieceOf(frame) ?? []);
  } catch (cause) {
    signal.throwIfAborted();
    throw new OrkestrError('ORK_ENGINE_UNREACHABLE', 'Docker Engine closed the connection in the middle of a log.', {
      cause,
    });
  }
}

/**
 * A frame is a time, a space and a piece; newer engines send each of the three in a frame of its own. The engine's own
 * messages ("Error grabbing logs") have no time, and a kind of their own.
 */
function makePieces(): (frame: Frame) => LogPiece | null {
  let at: LineTime = new Date().toISOString();
  /** What follows a time that was a frame of its own. */
  let next: 'space' | 'piece' | null = null;
  return ({ kind, payload }) => {
    const stream = kind === 1 ? 'stdout' : 'stderr';
    const due = next;
    next = due === 'space' ? 'piece' : null;
    if (due === 'space') return null;
    if (due === 'piece') return { at, stream, bytes: payload };
    const space = payload.indexOf(SPACE);
    const time = payload.toString('latin1', 0, space === -1 ? payload.length : space);
    if (!LINE_TIME.test(time)) return { at, stream, bytes: payload };
    at = time;
    if (space !== -1) return { at, stream, bytes: payload.subarray(space + 1) };
    next = 'space';
    return null;
  };
}
