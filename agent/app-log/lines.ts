/**
 * Turns the pieces that Docker keeps into lines that may be shown: long ones cut, secrets redacted. It redacts line by
 * line, not across lines as the step log does: there a line that may be the beginning of a secret waits for the next
 * one, and a live log would show it late or never. A secret of several lines is recognized by each of its longer lines.
 */
import { APP_LOG_LINE_BYTES } from '../../protocol/app-log.ts';
import type { AppLogLine } from '../../protocol/app-log.ts';
import type { LogPiece } from '../docker/container-log.ts';
import { makeLineLimiter } from '../lib/line-limiter.ts';
import { makeRedactor } from '../lib/redactor.ts';

const NEWLINE = Buffer.from('\n');

export interface LineMaker {
  /** The line that ends with this piece; null if it does not end yet. */
  take(piece: LogPiece): AppLogLine | null;
  /** Drops a piece, and the part of its line before it. True if it is the first piece of that line that is dropped. */
  skip(piece: LogPiece): boolean;
  /** Lines without a newline, once nothing more comes. */
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
  // The beginning of this line was dropped, so the rest is dropped, too: alone it would look like a line.
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
