/** Responses that the edge compresses, whichever engine their connections start in. */
import assert from 'node:assert/strict';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { startServing } from './engine-harness.ts';
import { dechunked, eventually, HEAD, scriptedUpstream, testBoth } from './harness.ts';
import type { Wire } from './harness.ts';

/** Body bytes of the last response on a connection, with its chunks joined. */
function bodyOf(wire: Wire): Buffer {
  const [head = '', ...rest] = wire.received.split('\r\n\r\n');
  const body = rest.join('\r\n\r\n');
  return Buffer.from(/transfer-encoding: chunked/i.test(head) ? dechunked(body).body : body, 'latin1');
}

testBoth('text is compressed part by part, and each part is sent at once', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t);
  edge.serve(upstream.port, { compression: true });
  const client = await edge.send(`GET / ${HEAD}Accept-Encoding: gzip\r\n\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n');
  await client.sees(/^HTTP\/1.1 200 OK\r\n.*Content-Encoding: gzip\r\n.*\r\n\r\n$/s);
  assert.match(client.received, /ETag: W\/"1"\r\n/);
  assert.match(client.received, /Vary: Accept-Encoding\r\n/);
  let length = client.received.length;
  for (const part of ['aaaa', 'bbbb']) {
    wire.send(`4\r\n${part}\r\n`);
    await eventually('the part', () => client.received.length > length);
    length = client.received.length;
  }
  wire.send('0\r\n\r\n');
  await client.sees(/\r\n0\r\n\r\n$/);
  assert.equal(gunzipSync(bodyOf(client)).toString(), 'aaaabbbb');
  assert.equal(edge.seen[0]?.bytesOut, bodyOf(client).length);
});

testBoth(
  'a response of known length is compressed too, HEAD gets its fields, and small ones and events are not',
  async (t) => {
    const edge = await startServing(t);
    const text = 'hello '.repeat(1000);
    const plain = (type: string, body: string): string =>
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
    const answers = new Map([
      ['GET /big', plain('text/plain', text) + text],
      ['HEAD /big', plain('text/plain', text)],
      ['GET /small', `${plain('text/plain', 'small')}small`],
      ['GET /events', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'],
    ]);
    const upstream = await scriptedUpstream(t, (wire) => {
      wire.socket.on('data', (head) => {
        const [line = ''] = String(head).split(' HTTP', 1);
        wire.send(answers.get(line) ?? '');
        if (line === 'GET /events') wire.socket.end();
      });
    });
    edge.serve(upstream.port, { compression: true });
    const ask = async (line: string, codings = 'br, gzip'): Promise<Wire> => {
      const client = await edge.send(`${line} ${HEAD}Accept-Encoding: ${codings}\r\nConnection: close\r\n\r\n`);
      await client.end();
      return client;
    };
    const big = await ask('GET /big');
    assert.equal(brotliDecompressSync(bodyOf(big)).toString(), text);
    assert.doesNotMatch(big.received, /content-length/i);
    const zstd = await ask('GET /big', 'gzip, zstd');
    assert.match(zstd.received, /Content-Encoding: zstd\r\n/);
    assert.equal(zstdDecompressSync(bodyOf(zstd)).toString(), text);
    const head = await ask('HEAD /big');
    assert.match(head.received, /Content-Encoding: br\r\n.*\r\n\r\n$/s);
    for (const line of ['GET /small', 'GET /events'])
      assert.doesNotMatch((await ask(line)).received, /content-encoding/i);
  },
);

testBoth('a client that does not read holds back its compressed response, and frees it when it leaves', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t);
  edge.serve(upstream.port, { compression: true });
  const client = await edge.send(`GET / ${HEAD}Accept-Encoding: gzip\r\n\r\n`);
  client.socket.pause();
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n');
  // Random bytes, which do not compress.
  const block = Buffer.from(Array.from({ length: 1 << 16 }, () => Math.floor(Math.random() * 256)));
  const blocks = 512;
  for (let sent = 0; sent < blocks; sent += 1) wire.socket.write(block);
  let before = -1;
  await eventually('the flow to stop', () => {
    const left = wire.socket.writableLength;
    const stopped = left === before;
    before = left;
    return stopped && left < block.length * blocks;
  });
  assert.ok(wire.socket.writableLength > (block.length * blocks) / 2, `${wire.socket.writableLength} are held back`);
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('it was told of', () => edge.seen.length === 1);
  assert.equal(edge.seen[0]?.outcome, 'abandoned');
});
