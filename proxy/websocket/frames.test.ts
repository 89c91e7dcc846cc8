import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { closeFrameToClient, closeFrameToServer } from './close-frame.ts';
import { FrameTracker } from './frames.ts';

interface Frame {
  readonly opcode: number;
  readonly masked: boolean;
  readonly length: number;
  /** Bytes of the extended length field: an intermediary must accept more of them than the length needs. */
  readonly wide: 0 | 2 | 8;
}

function encode({ opcode, masked, length, wide }: Frame): Buffer {
  const bytes = length > 65_535 ? 8 : length > 125 ? Math.max(2, wide) : wide;
  const head = [0x80 | opcode, (masked ? 0x80 : 0) | (bytes === 0 ? length : bytes === 2 ? 126 : 127)];
  const extended = Buffer.alloc(bytes);
  if (bytes === 2) extended.writeUInt16BE(length);
  if (bytes === 8) extended.writeBigUInt64BE(BigInt(length));
  // A payload that looks like the headers of Close frames.
  return Buffer.concat([Buffer.from(head), extended, Buffer.alloc(masked ? 4 : 0, 0x88), Buffer.alloc(length, 0x88)]);
}

const frame: fc.Arbitrary<Frame> = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 9, 10),
  masked: fc.boolean(),
  length: fc.oneof(fc.constantFrom(0, 1, 125, 126, 127), fc.integer({ min: 0, max: 300 }), fc.constantFrom(65_536)),
  wide: fc.constantFrom(0, 2, 8),
});

test('however the bytes are split, the tracker is at a boundary exactly between two frames', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
      const encoded = frames.map(encode);
      const bytes = Buffer.concat(encoded);
      const boundaries = new Set<number>([0]);
      encoded.reduce((at, { length }) => (boundaries.add(at + length), at + length), 0);
      const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
      const tracker = new FrameTracker();
      let from = 0;
      for (const to of [...at, bytes.length]) {
        assert.equal(tracker.take(bytes, from, to), to);
        assert.equal(tracker.atBoundary, boundaries.has(to), `after byte ${to}`);
        from = to;
      }
      assert.equal(tracker.closed, false);
    }),
  );
});

test('after a stop the tracker takes the bytes up to the end of the current frame, at every split', () => {
  const frames = [1, 130, 0, 70_000].map((length, index) =>
    encode({ opcode: 2, masked: index % 2 === 0, length, wide: 0 }),
  );
  const ends: number[] = [];
  frames.reduce((at, { length }) => (ends.push(at + length), at + length), 0);
  const bytes = Buffer.concat(frames);
  const interesting = ends.flatMap((end) => [end - 2, end - 1, end, end + 1, end + 2, end + 3, end + 9, end + 14]);
  for (const split of [0, 1, 2, ...interesting].filter((at) => at <= bytes.length)) {
    const tracker = new FrameTracker();
    tracker.take(bytes, 0, split);
    const taken = tracker.take(bytes, split, bytes.length, true);
    const expected = split === 0 || ends.includes(split) ? split : (ends.find((end) => end > split) ?? bytes.length);
    assert.equal(taken, expected, `split at ${split}`);
    assert.equal(tracker.atBoundary, true);
  }
});

test('a Close frame from either side is detected, and only as a frame of its own', () => {
  for (const close of [closeFrameToClient(), closeFrameToServer()]) {
    const bytes = Buffer.concat([encode({ opcode: 1, masked: false, length: 200, wide: 0 }), close]);
    for (let split = 0; split <= bytes.length; split += 1) {
      const tracker = new FrameTracker();
      tracker.take(bytes, 0, split);
      assert.equal(tracker.closed, split > bytes.length - close.length + 1);
      tracker.take(bytes, split, bytes.length);
      assert.equal(tracker.closed, true);
      assert.equal(tracker.atBoundary, true);
    }
  }
});

test('the Close frame to a server is masked and unmasks to 1001', () => {
  const frame = closeFrameToServer();
  assert.deepEqual([frame[0], frame[1]], [0x88, 0x82]);
  const payload = frame.subarray(6).map((octet, index) => octet ^ (frame[2 + index] as number));
  assert.equal(Buffer.from(payload).readUInt16BE(), 1001);
  assert.deepEqual([...closeFrameToClient()], [0x88, 2, 3, 0xe9]);
});
