import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  brotliDecompressSync,
  constants,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from 'node:zlib';
import * as fc from 'fast-check';
import { Compressors, decideCompression } from './compression.ts';
import type { Coding } from './compression.ts';
import { field } from './test-asked.ts';

const ALL = 'gzip, deflate, br, zstd';
const HTML = ['Content-Type', 'text/html; charset=utf-8'];

/** The decision for a response with these fields in addition to its type. */
function decide(headers: readonly string[] = HTML, some: Partial<Parameters<typeof decideCompression>[0]> = {}) {
  return decideCompression({ method: 'GET', acceptEncoding: ALL, status: 200, headers, ...some });
}
const coding = (acceptEncoding: string | undefined): Coding | null => decide(HTML, { acceptEncoding }).coding;

test('the coding is the one that the client prefers; among equals br, then zstd, then gzip', () => {
  const expected: [string | undefined, Coding | null][] = [
    [ALL, 'br'],
    ['gzip, zstd', 'zstd'],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['BR;Q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0, gzip;q=0.001', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *;q=0.5', 'zstd'],
    ['*;q=0', null],
    ['identity', null],
    ['identity;q=1, br;q=0.5', null],
    ['identity;q=0.5, br;q=0.5', 'br'],
    ['gzip;q=2', null],
    ['gzip;q=0.1234', null],
    ['deflate, compress', null],
    ['', null],
    [undefined, null],
  ];
  assert.deepEqual(
    expected.map(([accept]) => [accept, coding(accept)]),
    expected,
  );
});

test('only uncompressed text types are compressed', () => {
  const types = [
    'text/html',
    'TEXT/CSS',
    'application/json; charset=x',
    'application/ld+json',
    'image/svg+xml',
    'application/wasm',
  ];
  for (const type of types) assert.equal(decide(['Content-Type', type]).coding, 'br', type);
  const others = [
    'image/png',
    'video/mp4',
    'application/zip',
    'font/woff2',
    'application/grpc',
    'text/event-stream',
    'x',
  ];
  for (const type of others) {
    const headers = ['content-type', type];
    assert.deepEqual(decide(headers), { coding: null, headers }, type);
  }
  assert.equal(decide([]).coding, null);
});

test('a response that must not be compressed keeps its fields unchanged', () => {
  const cases: [readonly string[], number?][] = [
    [['Content-Encoding', 'gzip']],
    [['Cache-Control', 'public, No-Transform']],
    [['Content-Range', 'bytes 0-9/20']],
    [['Content-Length', '1023']],
    [['Content-Digest', 'sha-256=:x:']],
    [['Content-MD5', 'x']],
    [['ETag', '"x"'], 206],
    [['ETag', '"x"'], 204],
    [['ETag', '"x"'], 103],
  ];
  for (const [more, status = 200] of cases) {
    const headers = [...HTML, ...more];
    assert.deepEqual(decide(headers, { status }), { coding: null, headers }, more.join(': '));
  }
});

test('a compressed response has Content-Encoding, and no fields that were true only of the plain one', () => {
  const headers = [
    ...HTML,
    'Content-Length',
    '2048',
    'ETag',
    '"abc"',
    'Accept-Ranges',
    'bytes',
    'X-Kept',
    '1',
    'x-kept',
    '2',
  ];
  const decision = decide([...headers, 'content-encoding', 'identity']);
  assert.deepEqual(decision.headers, [
    ...HTML,
    'ETag',
    'W/"abc"',
    'X-Kept',
    '1',
    'x-kept',
    '2',
    'Vary',
    'Accept-Encoding',
    'Content-Encoding',
    'br',
  ]);
});

test('Vary tells caches about both forms, even on the plain response and on 304', () => {
  const plain = decide([...HTML, 'ETag', '"abc"'], { acceptEncoding: undefined });
  assert.deepEqual(plain.headers, [...HTML, 'ETag', '"abc"', 'Vary', 'Accept-Encoding']);
  assert.deepEqual(decide(['ETag', '"abc"'], { status: 304 }).headers, ['ETag', 'W/"abc"', 'Vary', 'Accept-Encoding']);
  for (const vary of ['accept-encoding', 'Cookie, Accept-Encoding', '*'])
    assert.equal(decide([...HTML, 'vary', vary]).headers.filter((name) => /^vary$/i.test(name)).length, 1, vary);
});

test('HEAD has the fields of GET and no stream', () => {
  const { headers, coding } = decide([...HTML, 'Content-Length', '5000'], { method: 'HEAD' });
  assert.equal(coding, null);
  assert.equal(field(headers, 'content-encoding'), 'br');
  assert.equal(field(headers, 'content-length'), undefined);
});

test('error responses of the app are compressed like its other pages', () => {
  assert.equal(decide(HTML, { status: 404 }).coding, 'br');
  assert.equal(decide(HTML, { status: 500 }).coding, 'br');
});

test('without room for another compressor the response is sent plain', () => {
  const compressors = new Compressors(2);
  const open = [compressors.make('gzip'), compressors.make('gzip')];
  assert.equal(compressors.hasRoom, false);
  const decision = decideCompression(
    { method: 'GET', acceptEncoding: ALL, status: 200, headers: HTML },
    compressors.hasRoom,
  );
  assert.deepEqual(decision, { coding: null, headers: [...HTML, 'Vary', 'Accept-Encoding'] });
  for (const stream of open) stream.destroy();
});

test('a compressor frees its place, whether it ended or was destroyed', async () => {
  const compressors = new Compressors(1);
  const first = compressors.make('br');
  first.resume().end('x');
  await once(first, 'close');
  assert.equal(compressors.hasRoom, true);
  const second = compressors.make('zstd');
  second.destroy();
  await once(second, 'close');
  assert.equal(compressors.hasRoom, true);
});

const DECODERS: Readonly<Record<Coding, (bytes: Buffer) => Buffer>> = {
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
  gzip: gunzipSync,
};

test('for any chunks the client decodes what the app wrote', async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.constantFrom<Coding>('br', 'zstd', 'gzip'), async (chunks, coding) => {
      const stream = new Compressors().make(coding);
      const out: Buffer[] = [];
      stream.on('data', (bytes: Buffer) => out.push(bytes));
      for (const chunk of chunks) stream.write(chunk);
      stream.end();
      await once(stream, 'end');
      assert.deepEqual(DECODERS[coding](Buffer.concat(out)), Buffer.concat(chunks));
    }),
    { numRuns: 60 },
  );
});

test('the client can decode each chunk before the next one is written', { timeout: 60_000 }, async () => {
  const decoders = {
    br: createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
    zstd: createZstdDecompress(),
    gzip: createGunzip({ flush: constants.Z_SYNC_FLUSH }),
  };
  for (const coding of ['br', 'zstd', 'gzip'] as const) {
    const stream = new Compressors().make(coding);
    const decoder = decoders[coding];
    stream.pipe(decoder);
    for (const text of ['<html>', '<li>one', '<li>two']) {
      stream.write(text);
      assert.equal(String((await once(decoder, 'data'))[0]), text, coding);
    }
    stream.end('</html>');
    await once(decoder.resume(), 'end');
  }
});
