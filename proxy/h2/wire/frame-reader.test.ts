import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CODE, ConnectionError, FLAG, FRAME, PREFACE } from './codes.ts';
import { FrameReader } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import { frame } from './test-frames.ts';

/** Records what it receives; pieces of one body are joined. */
class Notes implements FrameSink {
  readonly isOpen = true;
  readonly lines: string[] = [];
  #data = '';

  frame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    this.lines.push(`${type} ${flags} ${stream} ${bytes.toString('hex', start, end)}`);
  }

  dataBegins(stream: number, length: number, content: number, isLast: boolean): void {
    this.lines.push(`data of ${stream}, ${length}, ${content}${isLast ? ', last' : ''}`);
  }

  data(bytes: Buffer, start: number, end: number): void {
    assert.ok(end > start);
    this.#data += bytes.toString('hex', start, end);
  }

  dataEnds(isLast: boolean): void {
    this.lines.push(`${this.#data} ${isLast}`);
    this.#data = '';
  }
}

const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const stream = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const other = fc
  .tuple(fc.integer({ min: 1, max: 255 }), fc.nat({ max: 255 }), stream, payload)
  .map(([type, flags, id, bytes]) => ({
    bytes: frame(type, flags, id, bytes),
    lines: [`${type} ${flags} ${id} ${bytes.toString('hex')}`],
  }));
const data = fc
  .tuple(stream, payload, fc.option(fc.nat({ max: 20 })), fc.boolean())
  .map(([id, bytes, padding, isLast]) => {
    const last = isLast ? FLAG.endStream : 0;
    const padded = padding === null ? bytes : Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);
    const flags = last | (padding === null ? 0 : FLAG.padded);

    return {
      bytes: frame(FRAME.data, flags, id, padded),
      lines: [
        `data of ${id}, ${padded.length}, ${bytes.length}${isLast ? ', last' : ''}`,
        `${bytes.toString('hex')} ${isLast}`,
      ],
    };
  });

/** Reads bytes that arrive in parts. All parts share one buffer, like the reads of a socket. */
function read(bytes: Buffer, places: readonly number[]): string[] {
  const notes = new Notes();
  const reader = new FrameReader(notes);
  const shared = Buffer.alloc(bytes.length + 2);
  const cuts = [...new Set([0, bytes.length, ...places.map((place) => Math.min(place, bytes.length))])];
  cuts.sort((a, b) => a - b);
  for (const [index, start] of cuts.slice(0, -1).entries()) {
    const end = cuts[index + 1] ?? start;
    shared.fill(0xff);
    bytes.copy(shared, 1, start, end);
    reader.read(shared, 1, 1 + end - start);
  }
  assert.equal(reader.isInside, false);
  return notes.lines;
}

test('frames are read the same wherever their bytes are split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(data, other), { maxLength: 8 }),
      fc.array(fc.nat({ max: 500 }), { maxLength: 12 }),
      (frames, places) => {
        const bytes = Buffer.concat([PREFACE, ...frames.map((one) => one.bytes)]);
        const lines = frames.flatMap((one) => one.lines);
        assert.deepEqual(read(bytes, []), lines);
        assert.deepEqual(read(bytes, places), lines);
        assert.deepEqual(
          read(
            bytes,
            Array.from(bytes, (_, at) => at),
          ),
          lines,
        );
      },
    ),
    { numRuns: 300 },
  );
});

const refuses = (bytes: Buffer, code: number): void => {
  const isOfCode = (error: unknown): boolean => error instanceof ConnectionError && error.code === code;
  for (const places of [[], Array.from(bytes, (_, at) => at)]) assert.throws(() => read(bytes, places), isOfCode);
};

test('a missing preface, oversized frames and padding longer than the payload are refused', () => {
  refuses(Buffer.from('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'), CODE.protocolError);
  refuses(Buffer.concat([PREFACE, frame(FRAME.headers, 0, 1, Buffer.alloc(16_385))]), CODE.frameSizeError);
  refuses(Buffer.concat([PREFACE, frame(FRAME.data, FLAG.padded, 1, Buffer.from([3, 1, 2]))]), CODE.protocolError);
  refuses(Buffer.concat([PREFACE, frame(FRAME.data, FLAG.padded, 1, Buffer.alloc(0))]), CODE.frameSizeError);
});
