import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import type Docker from 'dockerode';
import type { Engine } from '../lib/engine.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { containerLogs, nanoseconds } from './container-log.ts';
import type { LogPiece } from './container-log.ts';
import { framesOf } from './streams.ts';

function frame(kind: number, payload: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = kind;
  head.writeUInt32BE(Buffer.byteLength(payload), 4);
  return Buffer.concat([head, Buffer.from(payload)]);
}

async function* cut(bytes: Buffer, places: readonly number[]): AsyncGenerator<Buffer> {
  const borders = [0, ...places.map((place) => place % bytes.length).toSorted((a, b) => a - b), bytes.length];
  for (const [n, from] of borders.slice(0, -1).entries()) yield bytes.subarray(from, borders[n + 1]);
}

test('frames are complete wherever the stream is split', async () => {
  const texts = ['a', '', 'ü'.repeat(40), 'last\n'];
  const bytes = Buffer.concat(texts.map((text, n) => frame(1 + (n % 2), text)));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 12 }), async (places) => {
      const frames = (await Array.fromAsync(framesOf(cut(bytes, places)))).flat();
      assert.deepEqual(
        frames.map(({ kind, payload }) => [kind, payload.toString()]),
        texts.map((text, n) => [1 + (n % 2), text]),
      );
    }),
  );
});

test('a frame of excessive length is rejected instead of buffered', async () => {
  const head = Buffer.from([1, 0, 0, 0, 0xff, 0, 0, 0]);
  await assert.rejects(Array.fromAsync(framesOf(cut(head, []))), /frame of \d+ bytes/);
});

test('a time from Docker is parsed to the nanosecond', () => {
  assert.equal(nanoseconds('2030-01-01T00:00:00.000000001Z'), 1_893_456_000_000_000_001n);
  assert.equal(nanoseconds('2030-01-01T00:00:00.5Z'), 1_893_456_000_500_000_000n);
});

/** An engine whose responses the test scripts, and the requests that it got. */
async function engine(t: TestContext, answer: (path: string) => { status: number; body: Buffer; breaks?: boolean }) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const { status, body, breaks = false } = answer(request.url ?? '');
    response.writeHead(status);
    if (breaks) response.write(body, () => response.destroy());
    else response.end(body);
  });
  const socketPath = join(temporaryFolder(t), 'engine.sock');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  t.after(() => server.close());
  const made: Engine = {
    socketPath,
    call: (_what, work) => work(undefined as unknown as Docker, new AbortController().signal),
  };
  return { asked, open: containerLogs(made) };
}

const ALL = { tail: null, since: null, follow: false } as const;
const never = new AbortController().signal;

test('pieces have their time and stream, and the request asks the engine for exactly the wanted part', async (t) => {
  const at = '2030-01-01T00:00:00.000000007Z';
  const on = await engine(t, () => ({
    status: 200,
    body: Buffer.concat([frame(1, `${at} out\n`), frame(2, `${at} err, `), frame(3, 'Error grabbing logs\n')]),
  }));
  const since = nanoseconds(at) + 1n;
  const log = await on.open('orkestr-a', { tail: 5, since, follow: true }, never);
  const pieces: LogPiece[] = (await Array.fromAsync(log ?? [])).flat();
  assert.deepEqual(
    pieces.map(({ bytes, ...piece }) => ({ ...piece, text: bytes.toString() })),
    [
      { at, stream: 'stdout', text: 'out\n' },
      { at, stream: 'stderr', text: 'err, ' },
      { at, stream: 'stderr', text: 'Error grabbing logs\n' },
    ],
  );
  assert.deepEqual(on.asked, [
    '/containers/orkestr-a/logs?stdout=1&stderr=1&timestamps=1&follow=1&tail=5&since=1893456000.000000008',
  ]);
});

test('an engine that sends time, space and text as separate frames is understood, whatever the text', async (t) => {
  const [first, second] = ['2030-01-01T00:00:00.000000007Z', '2030-01-01T00:00:00.000000008Z'];
  const texts = ['one\n', ' ', `${second}\n`, second, ' \n', '\n'];
  const frames = texts.flatMap((text, n) =>
    [n < 3 ? first : second, ' ', text].map((part) => frame(1 + (n % 2), part)),
  );
  const on = await engine(t, () => ({ status: 200, body: Buffer.concat(frames) }));
  const pieces: LogPiece[] = (await Array.fromAsync((await on.open('a', ALL, never)) ?? [])).flat();
  assert.deepEqual(
    pieces.map(({ at, stream, bytes }) => [at, stream, bytes.toString()]),
    texts.map((text, n) => [n < 3 ? first : second, n % 2 === 0 ? 'stdout' : 'stderr', text]),
  );
});

test('a missing container has no log, and the error of an engine that refuses or disconnects is passed on', async (t) => {
  const on = await engine(t, (path) => {
    if (path.includes('gone')) return { status: 404, body: Buffer.from('{}') };
    if (path.includes('odd')) return { status: 500, body: Buffer.from('the disk is odd') };
    return { status: 200, body: frame(1, '2030-01-01T00:00:00.000000007Z one\n'), breaks: true };
  });
  assert.equal(await on.open('gone', ALL, never), null);
  await assert.rejects(on.open('odd', ALL, never), { code: 'ORK_INTERNAL', message: /HTTP 500.*the disk is odd/ });
  const log = await on.open('breaks', ALL, never);
  await assert.rejects(Array.fromAsync(log ?? []), { code: 'ORK_ENGINE_UNREACHABLE' });
});
