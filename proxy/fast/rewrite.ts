/** Rewrites heads as bytes: request heads into another buffer, response heads in place. */
import type { ResponseHead } from '../target/response-head.ts';
import type { RequestHead } from './head.ts';
import type { OriginLines } from './origin.ts';

const CRLF = Buffer.from('\r\n', 'latin1');
/** Own lines of a `101` response head, for {@link compactResponseHead}. */
export const SWITCHED = Buffer.from('Connection: Upgrade\r\nUpgrade: websocket\r\n', 'latin1');
const HANDSHAKE = Buffer.from('connection: Upgrade\r\nupgrade: websocket\r\n', 'latin1');
const DIGIT_ONE = 49;

/**
 * Writes the request head for the target up to the value of X-Request-Id: first the forwarded lines, byte for byte,
 * then the proxy's own. `out` must have room for a whole head and those.
 * @returns the length written; the caller appends the id and calls {@link endHead}
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

/** Writes the end of the last line and the empty line. @returns the length of the whole head */
export function endHead(out: Buffer, at: number): number {
  out[at] = 13;
  out[at + 1] = 10;
  out[at + 2] = 13;
  out[at + 3] = 10;
  return at + 4;
}

/**
 * Removes the lines that are not forwarded from a response head. The remaining lines move right, so that the head still
 * ends where the body begins. There must be room before the head for the added lines.
 * @param own lines to add; null: none
 * @returns the new start
 */
export function compactResponseHead(head: ResponseHead, own: Buffer | null): number {
  const { bytes, cuts } = head;
  if (head.minorVersion === 0) bytes[head.start + 7] = DIGIT_ONE;
  // From right to left: each segment moves right, over the lines cut behind it.
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

/** Inserts lines before the empty line by moving all others to the left. */
function addLines(bytes: Buffer, start: number, linesEnd: number, own: Buffer): number {
  bytes.copyWithin(start - own.length, start, linesEnd);
  own.copy(bytes, linesEnd - own.length);
  return start - own.length;
}
