/** Sequences of HTTP/2 frames as cases, and the requests in them according to a reading that judges nothing. */
import * as fc from 'fast-check';
import { frameSequence } from '../../proxy/h2/test-sequences.ts';
import { FLAG, FRAME, FRAME_HEAD_BYTES } from '../../proxy/h2/wire/codes.ts';
import type { H2Case } from './findings.ts';

export const h2Cases = (seed: number, count: number): H2Case[] =>
  fc.sample(frameSequence, { seed, numRuns: count }).map(({ bytes, parts, honest }) => {
    return { side: 'h2', bytes: bytes.toString('latin1'), parts: [...parts], honest };
  });

interface Stream {
  head: string;
  body: string;
  isHead: boolean;
}

/** Path and body of each complete request in the bytes, unchecked: the proxy may forward fewer, but no others. */
export function wholeRequests(bytes: Buffer): string[] {
  const streams = new Map<number, Stream>();
  const whole: string[] = [];
  let endsWithHead = false;
  for (const { type, flags, id, payload } of framesOf(bytes)) {
    const stream = streams.get(id) ?? { head: '', body: '', isHead: true };
    streams.set(id, stream);
    if (type === FRAME.headers) endsWithHead = (flags & FLAG.endStream) !== 0;
    const isData = type === FRAME.data;
    if (isData) stream.body += contentOf(flags, payload);
    else if (stream.isHead && isBlock(type)) stream.head += payload.toString('latin1');
    const isHeadWhole = isBlock(type) && (flags & FLAG.endHeaders) !== 0;
    if (isHeadWhole) stream.isHead = false;
    if (isData ? (flags & FLAG.endStream) !== 0 : isHeadWhole && endsWithHead) whole.push(lineOf(stream));
  }
  return whole;
}

const isBlock = (type: number): boolean => type === FRAME.headers || type === FRAME.continuation;

function* framesOf(bytes: Buffer): Generator<{ type: number; flags: number; id: number; payload: Buffer }> {
  for (let at = 0; at + FRAME_HEAD_BYTES <= bytes.length;) {
    const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
    if (end > bytes.length) return;
    const [type = 0, flags = 0] = [bytes[at + 3], bytes[at + 4]];
    const id = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    yield { type, flags, id, payload: bytes.subarray(at + FRAME_HEAD_BYTES, end) };
    at = end;
  }
}

function contentOf(flags: number, payload: Buffer): string {
  if ((flags & FLAG.padded) === 0) return payload.toString('latin1');
  return payload.toString('latin1', 1, Math.max(1, payload.length - (payload[0] ?? 0)));
}

function lineOf({ head, body }: Stream): string {
  return `${/\/s\d+/.exec(head)?.[0] ?? '?'} ${JSON.stringify(body)}`;
}
