/** Malformed HTTP/2 requests and incomplete responses: nobody must mistake them for valid ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG, FRAME } from '../../../proxy/h2/wire/codes.ts';
import { frame } from '../../../proxy/h2/wire/test-frames.ts';
import { GET, RawClient } from './h2-frames.ts';
import { ask } from './h2-harness.ts';
import { eventually } from './harness.ts';
import { instead, lab } from './h2-lab.ts';
import type { Field } from './h2-lab.ts';

const without = (name: string): Field[] => GET.filter(([one]) => one !== name);
const get = (...more: Field[]): Field[] => [...GET, ...more];

const REFUSED: Record<string, readonly Field[]> = {
  'an upper-case name': get(['X-Upper', 'a']),
  'a name with a space': get(['x y', 'evil']),
  'a name with a colon': get(['x:y', 'evil']),
  'a name with CRLF': get(['x\r\nevil', 'yes']),
  'an empty name': get(['', 'evil']),
  'a value with CRLF': get(['x-crlf', 'a\r\nEvil: yes']),
  'a value with LF': get(['x-lf', 'a\nEvil: yes']),
  'a value with CR': get(['x-cr', 'evil\rb']),
  'a value with NUL': get(['x-nul', 'evil\0b']),
  'a connection field': get(['connection', 'x-forwarded-for']),
  'a keep-alive field': get(['keep-alive', 'timeout=5']),
  'a proxy-connection field': get(['proxy-connection', 'close']),
  'a transfer coding': get(['transfer-encoding', 'chunked']),
  'an upgrade field': get(['upgrade', 'h2c']),
  'te other than trailers': get(['te', 'gzip']),
  'no method': without(':method'),
  'no scheme': without(':scheme'),
  'no path': without(':path'),
  'no authority and no host': without(':authority'),
  'an empty path': instead(':path', ''),
  'a path without a slash': instead(':path', 'x'),
  'an asterisk': instead(':path', '*'),
  'a path with a space': instead(':path', '/a HTTP/1.1'),
  'a path with CRLF': instead(':path', '/ HTTP/1.1\r\nHost: evil\r\n\r\n'),
  'a path with raw bytes': instead(':path', '/caf\xc3\xa9'),
  'a path with a fragment': instead(':path', '/a#b'),
  'an absolute path': instead(':path', 'https://app.test/'),
  'a method with a space': instead(':method', 'GET / HTTP/1.1'),
  'a method with CRLF': instead(':method', 'GET\r\nX'),
  'a scheme of another kind': instead(':scheme', 'file'),
  'an authority with a user': instead(':authority', 'user@app.test'),
  'an authority with a path': instead(':authority', 'app.test/x'),
  'an authority with a space': instead(':authority', 'app.test evil'),
  'a host that says something else': get(['host', 'b.test']),
  'two hosts': get(['host', 'app.test'], ['host', 'app.test']),
  'a pseudo field twice': get([':path', '/other']),
  'a pseudo field after others': [...without(':path'), ['x', 'y'], [':path', '/']],
  'an unknown pseudo field': [...GET, [':evil', 'x']],
  'a pseudo field of answers': [...GET, [':status', '200']],
  'two lengths': get(['content-length', '0'], ['content-length', '5']),
  'a list of lengths': get(['content-length', '0, 5']),
  'a signed length': get(['content-length', '+5']),
  'a length without a body': get(['content-length', '5']),
  CONNECT: [
    [':method', 'CONNECT'],
    [':authority', 'app.test:80'],
  ],
  TRACE: instead(':method', 'TRACE'),
};

test('fields that could be misread never reach the app', async (t) => {
  const { edge, app } = await lab(t);
  const client = await RawClient.open(t, edge);
  client.request(1, get(['x_under', 'evil'], ['x-good', 'yes'], ['cookie', 'a=1'], ['cookie', 'b=2']));
  await client.sees(({ type, stream }) => type === FRAME.data && stream === 1);
  const seen = app.wires[0]?.received ?? '';
  assert.doesNotMatch(seen, /evil/i);
  assert.match(seen, /\r\nx-good: yes\r\n/);
  assert.match(seen, /\r\ncookie: a=1; b=2\r\n/);
  assert.equal(seen.split('\r\n\r\n').length - 1, 1);
});

test('the error names a field with white space around its value, and the app gets nothing of the request', async (t) => {
  const { edge, app } = await lab(t);
  const client = await RawClient.open(t, edge);
  client.request(1, get(['x-token', 'secret ']));
  const page = await client.sees(({ type, stream }) => type === FRAME.data && stream === 1);
  assert.match(page.payload.toString(), /The value of the field x-token begins or ends with white space/);
  assert.doesNotMatch(page.payload.toString(), /secret/);
  assert.equal(app.wires.length, 0);
});

test('malformed requests are refused, and nothing of them reaches the app', async (t) => {
  const { edge, app } = await lab(t);
  for (const [name, fields] of Object.entries(REFUSED)) {
    const client = await RawClient.open(t, edge);
    client.request(1, fields);
    await eventually(name, () => {
      const [head] = client.of(1, FRAME.headers);
      const status = head === undefined ? '' : head.payload.toString('latin1');
      return (
        client.ended || client.of(1, FRAME.reset).length > 0 || client.of(0, FRAME.goaway).length > 0 || status !== ''
      );
    });
    client.socket.destroy();
  }
  const session = await edge.connect();
  assert.equal((await ask(session, { ':path': '/honest' })).status, 200);
  const seen = app.wires.map((wire) => wire.received).join('');
  assert.equal(seen.split('\r\n\r\n').length - 1, 1);
  assert.match(seen, /^GET \/honest HTTP\/1\.1\r\n/);
  assert.ok(edge.seen.every(({ status, targetId }) => status >= 400 || targetId !== null));
});

test('a body of another length than declared resets the stream, and the app never gets a complete request', async (t) => {
  const { edge, app } = await lab(t, () => undefined);
  for (const [index, body] of ['123', '1234567'].entries()) {
    const client = await RawClient.open(t, edge);
    client.request(1, [...instead(':method', 'POST'), ['content-length', '5']], 0);
    const wire = await app.wire(index);
    await wire.sees(/content-length: 5\r\n/);
    client.send(frame(FRAME.data, FLAG.endStream, 1, Buffer.from(body)));
    await eventually('a reset or the end', () => client.ended || client.of(1, FRAME.reset).length > 0);
    await wire.end();
    assert.ok((wire.received.split('\r\n\r\n')[1] ?? '').length < 5);
  }
});

test('a body that exceeds its declared length is never complete for the app', async (t) => {
  const { edge, app } = await lab(t, () => undefined);
  const client = await RawClient.open(t, edge);
  client.request(1, [...instead(':method', 'POST'), ['content-length', '5']], 0);
  client.send(frame(FRAME.data, 0, 1, Buffer.from('12345')));
  const wire = await app.wire(0);
  await wire.sees(/\r\n\r\n1234$/);
  client.send(frame(FRAME.data, FLAG.endStream, 1, Buffer.from('6')));
  await client.sees(({ type, stream }) => type === FRAME.reset && stream === 1);
  await wire.end();
  assert.ok(wire.received.endsWith('\r\n\r\n1234'));
  // A body of the declared length is complete.
  client.request(3, [...instead(':method', 'POST'), ['content-length', '5']], 0);
  client.send(frame(FRAME.data, 0, 3, Buffer.from('12345')), frame(FRAME.data, FLAG.endStream, 3));
  await (await app.wire(1)).sees(/\r\n\r\n12345$/);
});

test('an aborted response never has END_STREAM', async (t) => {
  const { edge } = await lab(t, (wire) =>
    wire.socket.on('data', () => {
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
      setTimeout(() => wire.socket.destroy(), 20);
    }),
  );
  const client = await RawClient.open(t, edge);
  client.request(1, GET);
  const reset = await client.sees(({ type, stream }) => type === FRAME.reset && stream === 1);
  assert.equal(reset.payload.readUInt32BE(), 2);
  const ends = client.frames.filter(
    ({ stream, flags, type }) => stream === 1 && type <= 1 && (flags & FLAG.endStream) !== 0,
  );
  assert.deepEqual(ends, []);
});
