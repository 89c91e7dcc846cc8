/** For tests and the fuzzer: what an HTTP/2 client may send after its settings, mostly valid, with mutations. */
import * as fc from 'fast-check';
import { FLAG, FRAME } from './wire/codes.ts';
import { block, frame, number, setting } from './wire/test-frames.ts';

/** Placeholder for the host in a case's bytes; hosts have the same length. */
export const HOST_LETTERS = 'cNNNNNNN.h2.test';

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({ weight, arbitrary });

type Field = readonly [string, string];

const odd = fc.constantFrom('', ' ', 'a', '\r\n', '\0', 'A', ':', '\x7f', '\xff', '0', 'x'.repeat(200));
const field: fc.Arbitrary<Field> = fc.oneof(
  often(
    8,
    fc.constantFrom<Field>(
      ['accept', '*/*'],
      ['cookie', 'a=1'],
      ['x-a', 'b'],
      ['te', 'trailers'],
      ['user-agent', 'fuzz'],
      ['x-forwarded-for', '6.6.6.6'],
      ['forwarded', 'for=6.6.6.6'],
      ['x_a', 'b'],
      ['expect', '100-continue'],
    ),
  ),
  often(1, fc.tuple(odd, odd)),
  often(
    1,
    fc.constantFrom<Field>(
      ['connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'h2c'],
      ['host', 'other.test'],
      ['content-length', '3'],
      [':path', '/again'],
      [':protocol', 'websocket'],
    ),
  ),
);

/** The frames of one request, in order. @param stream replaces its identifier */
const request = fc
  .record({
    method: fc.oneof(often(12, fc.constantFrom('GET', 'POST', 'PUT', 'HEAD')), often(1, odd)),
    more: fc.array(field, { maxLength: 4 }),
    body: fc.array(
      fc.record({
        text: fc.string({ unit: fc.constantFrom('x', 'y', '\r', '\n', '0') }),
        padding: fc.option(fc.nat({ max: 9 })),
      }),
      {
        maxLength: 4,
      },
    ),
    declares: fc.oneof(often(3, fc.constant(null)), often(3, fc.constant(0)), often(1, fc.constant(7))),
    splits: fc.boolean(),
    trailers: fc.oneof(often(4, fc.constant(null)), often(1, fc.array(field, { maxLength: 2 }))),
  })
  .map(({ method, more, body, declares, splits, trailers }) => (stream: number): Buffer[] => {
    const length = body.reduce((sum, { text }) => sum + text.length, 0);
    const fields: Field[] = [
      [':method', method],
      [':scheme', 'https'],
      [':authority', HOST_LETTERS],
      [':path', `/s${stream}`],
      ...more,
      ...(declares === null ? [] : [['content-length', String(length + declares)] as const]),
    ];
    const endsWithHead = body.length === 0 && trailers === null;
    const head = headFrames(stream, block(fields), endsWithHead ? FLAG.endStream : 0, splits);
    const parts = body.map(({ text, padding }, index) => {
      const isLast = index === body.length - 1 && trailers === null;
      const bytes = Buffer.from(text, 'latin1');
      const payload = padding === null ? bytes : Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);
      return frame(FRAME.data, (isLast ? FLAG.endStream : 0) | (padding === null ? 0 : FLAG.padded), stream, payload);
    });
    const last =
      trailers === null ? [] : [frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, stream, block(trailers))];
    return [...head, ...parts, ...last];
  });

/** The frames of a head as one buffer, since nothing may come between them. */
function headFrames(stream: number, bytes: Buffer, flags: number, splits: boolean): Buffer[] {
  if (!splits) return [frame(FRAME.headers, flags | FLAG.endHeaders, stream, bytes)];
  const [first, second] = [bytes.subarray(0, 5), bytes.subarray(5)];
  return [
    Buffer.concat([
      frame(FRAME.headers, flags, stream, first),
      frame(FRAME.continuation, FLAG.endHeaders, stream, second),
    ]),
  ];
}

const noise = fc.oneof(
  fc.constant(frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
  fc.nat({ max: 100_000 }).map((value) => frame(FRAME.settings, 0, 0, setting(4, value))),
  fc.nat({ max: 70_000 }).map((value) => frame(FRAME.windowUpdate, 0, 0, number(value + 1))),
  fc.constantFrom(1, 3, 5).map((stream) => frame(FRAME.reset, 0, stream, number(8))),
  fc.constantFrom(1, 3, 9).map((stream) => frame(FRAME.priority, 0, stream, Buffer.alloc(5))),
  fc.constant(frame(0x20, 0xff, 3, Buffer.from('unknown'))),
);

/** A change; `place` is a fraction of the length. */
const change = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.nat({ max: 12 }),
  inserted: fc.uint8Array({ maxLength: 12 }),
});

interface Sequence {
  readonly bytes: Buffer;
  /** Offsets at which the bytes are split for sending. */
  readonly parts: readonly number[];
  /** The bytes were not mutated. */
  readonly honest: boolean;
}

export const frameSequence: fc.Arbitrary<Sequence> = fc
  .record({
    requests: fc.array(request, { minLength: 1, maxLength: 4 }),
    noises: fc.array(noise, { maxLength: 3 }),
    order: fc.array(fc.nat({ max: 1000 }), { minLength: 40, maxLength: 40 }),
    changes: fc.array(change, { maxLength: 3 }),
    parts: fc.array(fc.nat({ max: 2000 }), { maxLength: 6 }),
  })
  .map(({ requests, noises, order, changes, parts }) => {
    const whole = Buffer.concat(
      merged(
        requests.map((make, index) => make(2 * index + 1)),
        noises,
        order,
      ),
    );
    const bytes = changes.reduce<Buffer>((before, { place, removed, inserted }) => {
      const at = Math.floor(place * before.length);
      return Buffer.concat([before.subarray(0, at), inserted, before.subarray(at + removed)]);
    }, whole);
    const cuts: number[] = [...new Set(parts.filter((at) => at > 0 && at < bytes.length))].toSorted((a, b) => a - b);
    return { bytes, parts: cuts, honest: changes.length === 0 };
  });

/** Interleaves requests. Their heads stay in the order of their streams, as identifiers must ascend. */
function merged(requests: readonly Buffer[][], noises: readonly Buffer[], order: readonly number[]): Buffer[] {
  const heads = requests.map(([head = Buffer.alloc(0)]) => head);
  const rests = requests.map(([, ...rest]) => rest);
  const frames: Buffer[] = [];
  let begun = 0;
  for (const choice of order) {
    const open = rests.slice(0, begun).filter((rest) => rest.length > 0);
    const pick = choice % (open.length + 1);
    const next = pick < open.length ? open[pick]?.shift() : heads[begun++];
    if (next !== undefined) frames.push(next);
    if (choice % 7 === 0 && noises.length > 0) frames.push(noises[choice % noises.length] as Buffer);
  }
  return [...frames, ...heads.slice(begun), ...rests.flat()];
}
