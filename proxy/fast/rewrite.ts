/** Heads rewritten in bytes: for the target into another buffer, for the client in place. */
import type { ResponseHead } from '../target/response-head.ts';
import type { RequestHead } from './head.ts';
import type { OriginLines } from './origin.ts';

const CRLF = Buffer.from('\r\n', 'latin1');
/** Lines of ours in the head of an answer, for {@link compactResponseHead}. */
export const SWITCHED = Buffer.from('Connection: Upgrade\r\nUpgrade: websocket\r\n', 'latin1');
const HANDSHAKE = Buffer.from('connection: Upgrade\r\nupgrade: websocket\r\n', 'latin1');
const DIGIT_ONE = 49;

/**
 * The head as the target gets it up to the value of X-Request-Id: the lines that pass, byte for byte, then ours. `out`
 * has room for a whole head and ours.
 * @returns the length written; the caller adds the id and {@link endHead}
 */
export function writeRequestHead(bytes: Buffer, head: RequestHead, origin: OriginLines, out: Buffer): number {
  const { cuts } = head;
  let from = head.start;
  let at = 0;
  for (let index = 0; index < cuts.count; index += 1) {
    at += bytes.copy(out, at, from, cuts.start(index));
    from = cuts.end(index);
  }
  at += bytes.copy(out, at, from, head.end - CRLF.length);
  if (head.isHandshake) at += HANDSHAKE.copy(out, at);
  return at + origin.lines.copy(out, at);
}

/** The end of the last line, and the empty one. @returns the length of the whole head */
export function endHead(out: Buffer, at: number): number {
  out[at] = 13;
  out[at + 1] = 10;
  out[at + 2] = 13;
  out[at + 3] = 10;
  return at + 4;
}

/**
 * Takes the lines that do not pass out of an answer's head, so that what is left ends where it ended, in front of the
 * body. There must be room for our own lines before the head.
 * @param own lines that are added; null: none
 * @returns the new start
 */
export function compactResponseHead(head: ResponseHead, own: Buffer | null): number {
  const { bytes, cuts } = head;
  if (head.minorVersion === 0) bytes[head.start + 7] = DIGIT_ONE;
  // From the right: each segment moves to the right, over what is cut.
  let segmentEnd = head.end;
  let at = head.end;
  for (let index = cuts.count - 1; index >= -1; index -= 1) {
    const segment = index < 0 ? head.start : cuts.end(index);
    const length = segmentEnd - segment;
    if (at !== segmentEnd) bytes.copyWithin(at - length, segment, segmentEnd);
    at -= length;
    if (index >= 0) segmentEnd = cuts.start(index);
  }
  return own === null ? at : addLines(bytes, at, head.end - CRLF.length, own);
}

/** Makes room for more lines by moving all others to the left. */
function addLines(bytes: Buffer, start: number, linesEnd: number, own: Buffer): number {
  bytes.copyWithin(start - own.length, start, linesEnd);
  own.copy(bytes, linesEnd - own.length);
  return start - own.length;
}
