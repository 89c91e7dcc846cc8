/** Heads rewritten in bytes: for the target into another buffer, for the client in place. */
import type { RequestHead } from './head.ts';
import type { OriginLines } from './origin.ts';
import type { RequestIds } from './request-ids.ts';
import type { ResponseHead } from './response-head.ts';

const CRLF = Buffer.from('\r\n', 'latin1');
const CONNECTION_CLOSE = Buffer.from('Connection: close\r\n', 'latin1');
const DIGIT_ONE = 49;

/** What the rewritten head of a request says beside what the client said. */
export interface Additions {
  readonly origin: OriginLines;
  readonly ids: RequestIds;
  /** Number of the request, for an id of ours; 0: `givenId` holds. */
  readonly id: number;
  readonly givenId: string;
}

/**
 * The head as the target gets it: the lines that pass, byte for byte, then ours. `out` has room for a whole head and ours.
 * @returns the length written
 */
export function writeRequestHead(bytes: Buffer, head: RequestHead, add: Additions, out: Buffer): number {
  const { cuts } = head;
  let from = head.start;
  let at = 0;
  for (let index = 0; index < cuts.count; index += 1) {
    at += bytes.copy(out, at, from, cuts.start(index));
    from = cuts.end(index);
  }
  at += bytes.copy(out, at, from, head.end - CRLF.length);
  at += add.origin.lines.copy(out, at);
  at = add.id === 0 ? at + out.write(add.givenId, at, 'latin1') : add.ids.write(add.id, out, at);
  // The end of the last line, and the empty one.
  out[at] = 13;
  out[at + 1] = 10;
  out[at + 2] = 13;
  out[at + 3] = 10;
  return at + 4;
}

/**
 * Takes the lines that do not pass out of an answer's head, so that what is left ends where it ended, in front of the
 * body. There must be room for a `Connection: close` before the head.
 * @returns the new start
 */
export function compactResponseHead(head: ResponseHead, close: boolean): number {
  const { bytes, cuts } = head;
  if (head.minorVersion === 0) bytes[head.start + 7] = DIGIT_ONE;
  let segmentEnd = head.end;
  let at = head.end;
  if (close) {
    segmentEnd -= CRLF.length;
    at = segmentEnd - CONNECTION_CLOSE.length;
  }
  for (let index = cuts.count - 1; index >= -1; index -= 1) {
    const segment = index < 0 ? head.start : cuts.end(index);
    const length = segmentEnd - segment;
    if (at !== segmentEnd) bytes.copyWithin(at - length, segment, segmentEnd);
    at -= length;
    if (index >= 0) segmentEnd = cuts.start(index);
  }
  if (close) CONNECTION_CLOSE.copy(bytes, head.end - CRLF.length - CONNECTION_CLOSE.length);
  return at;
}
