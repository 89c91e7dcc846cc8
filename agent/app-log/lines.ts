/**
 * From the pieces that Docker keeps to lines that may be shown: long ones cut, secrets taken out. They are looked for line by line, not
 * across lines as in the log of a step: there a line that may be the beginning of a secret waits for the next one, and a
 * live log would show it late or never. A secret of several lines is known by each of its longer lines.
 */
import { APP_LOG_LINE_BYTES } from '../../protocol/app-log.ts';
import type { AppLogLine } from '../../protocol/app-log.ts';
import type { LogPiece } from '../docker/container-log.ts';
import { makeLineLimiter } from '../lib/line-limiter.ts';
import { makeRedactor } from '../lib/redactor.ts';

const NEWLINE = Buffer.from('\n');

export interface LineMaker {
  /** The line that ends with this piece; null when it does not end yet. */
  take(piece: LogPiece): AppLogLine | null;
  /** Leaves a piece out, and what there is of its line. True when it is the first of that line which is left out. */
  skip(piece: LogPiece): boolean;
  /** What has no newline, when nothing more comes. */
  end(): AppLogLine[];
}

export function makeLineMaker(secrets: readonly string[]): LineMaker {
  const streams = { stdout: makeStream(secrets), stderr: makeStream(secrets) };
  return {
    take: (piece) => streams[piece.stream].take(piece),
    skip: (piece) => streams[piece.stream].skip(piece),
    end: () => [streams.stdout.end(), streams.stderr.end()].filter((line) => line !== null),
  };
}

function makeStream(
  secrets: readonly string[],
): { [K in 'take' | 'skip']: LineMaker[K] } & { end(): AppLogLine | null } {
  const redactor = makeRedactor(secrets);
  const limit = makeLineLimiter(APP_LOG_LINE_BYTES);
  let open: Pick<LogPiece, 'at' | 'stream'> | null = null;
  let shown: Buffer[] = [];
  // The beginning of this line was left out: its rest alone would read like a line.
  let torn = false;

  const finish = (): AppLogLine | null => {
    if (open === null) return null;
    shown.push(limit(redactor.end()));
    limit(NEWLINE);
    const line = { at: open.at, stream: open.stream, text: Buffer.concat(shown).toString('utf8') };
    open = null;
    shown = [];
    return line;
  };
  return {
    take(piece) {
      const { bytes, at, stream } = piece;
      const ends = endsLine(piece);
      if (torn) {
        torn = !ends;
        return null;
      }
      open = { at, stream };
      shown.push(limit(redactor.push(ends ? bytes.subarray(0, -1) : bytes)));
      return ends ? finish() : null;
    },
    skip(piece) {
      const isFirst = !torn;
      finish();
      torn = !endsLine(piece);
      return isFirst;
    },
    end: finish,
  };
}

export const endsLine = ({ bytes }: LogPiece): boolean => bytes.at(-1) === NEWLINE[0];
