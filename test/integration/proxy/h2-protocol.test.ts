/** A violation of the protocol (RFC 9113) ends a stream or the connection, with the code that the RFC prescribes. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { CODE, FLAG, FRAME, MAX_WINDOW, SETTING } from '../../../proxy/h2/wire/codes.ts';
import { block, frame, number, setting } from '../../../proxy/h2/wire/test-frames.ts';
import { GET, RawClient } from './h2-frames.ts';
import { ask, startHttp2Edge } from './h2-harness.ts';
import type { Http2Edge } from './h2-harness.ts';
import { answering, entryFor, eventually, listen, OK, scriptedUpstream } from './harness.ts';

const END = FLAG.endStream | FLAG.endHeaders;
const POST = GET.map(([name, value]): [string, string] => [name, name === ':method' ? 'POST' : value]);

/** A request whose body is still to come. */
const open = (stream: number): Buffer => frame(FRAME.headers, FLAG.endHeaders, stream, block(POST));
const get = (stream: number): Buffer => frame(FRAME.headers, END, stream, block(GET));
const data = (stream: number, length: number, flags = 0): Buffer =>
  frame(FRAME.data, flags, stream, Buffer.alloc(length));
const update = (stream: number, increment: number): Buffer => frame(FRAME.windowUpdate, 0, stream, number(increment));

type Fault = readonly [name: string, code: number, ...frames: Buffer[]];

/** Sent after the client's preface and settings. */
const CONNECTION: readonly Fault[] = [
  ['DATA of stream 0', CODE.protocolError, data(0, 1)],
  ['DATA of a stream that never was', CODE.protocolError, data(5, 1)],
  ['DATA of a stream of ours', CODE.protocolError, data(2, 1)],
  ['HEADERS of stream 0', CODE.protocolError, get(0)],
  ['HEADERS of a stream of ours', CODE.protocolError, get(2)],
  ['more padding than HEADERS', CODE.protocolError, frame(FRAME.headers, END | FLAG.padded, 1, Buffer.from([9, 1]))],
  ['padding without a payload', CODE.frameSizeError, frame(FRAME.headers, END | FLAG.padded, 1)],
  ['a priority that is cut off', CODE.protocolError, frame(FRAME.headers, END | FLAG.priority, 1, Buffer.alloc(4))],
  ['a block that is not HPACK', CODE.compressionError, frame(FRAME.headers, END, 1, Buffer.from([0x80]))],
  ['a frame within a block', CODE.protocolError, frame(FRAME.headers, 0, 1, block(GET)), frame(FRAME.ping, 0, 0)],
  ['DATA within a block', CODE.protocolError, frame(FRAME.headers, 0, 1, block(GET)), data(1, 1)],
  [
    'CONTINUATION of another stream',
    CODE.protocolError,
    frame(FRAME.headers, 0, 1, block(GET)),
    frame(FRAME.continuation, FLAG.endHeaders, 3),
  ],
  ['CONTINUATION of nothing', CODE.protocolError, frame(FRAME.continuation, FLAG.endHeaders, 1)],
  [
    'CONTINUATION in bits without end',
    CODE.enhanceYourCalm,
    frame(FRAME.headers, 0, 1, block(GET)),
    Buffer.concat(Array.from({ length: 70 }, () => frame(FRAME.continuation, 0, 1))),
  ],
  ['PRIORITY of stream 0', CODE.protocolError, frame(FRAME.priority, 0, 0, Buffer.alloc(5))],
  ['RST_STREAM of stream 0', CODE.protocolError, frame(FRAME.reset, 0, 0, number(0))],
  ['RST_STREAM of a stream that never was', CODE.protocolError, frame(FRAME.reset, 0, 1, number(0))],
  ['RST_STREAM of another length', CODE.frameSizeError, open(1), frame(FRAME.reset, 0, 1, Buffer.alloc(3))],
  ['SETTINGS of a stream', CODE.protocolError, frame(FRAME.settings, 0, 1)],
  ['SETTINGS of odd length', CODE.frameSizeError, frame(FRAME.settings, 0, 0, Buffer.alloc(5))],
  ['an acknowledgement with settings', CODE.frameSizeError, frame(FRAME.settings, FLAG.ack, 0, setting(4, 1))],
  [
    'a push that is neither on nor off',
    CODE.protocolError,
    frame(FRAME.settings, 0, 0, setting(SETTING.enablePush, 2)),
  ],
  [
    'a window of 2^31',
    CODE.flowControlError,
    frame(FRAME.settings, 0, 0, setting(SETTING.initialWindowSize, MAX_WINDOW + 1)),
  ],
  ['a frame size below all', CODE.protocolError, frame(FRAME.settings, 0, 0, setting(SETTING.maxFrameSize, 16_383))],
  ['a frame size above all', CODE.protocolError, frame(FRAME.settings, 0, 0, setting(SETTING.maxFrameSize, 2 ** 24))],
  ['a push of a client', CODE.protocolError, frame(FRAME.pushPromise, FLAG.endHeaders, 1, block(GET))],
  ['PING of a stream', CODE.protocolError, frame(FRAME.ping, 0, 1, Buffer.alloc(8))],
  ['PING of another length', CODE.frameSizeError, frame(FRAME.ping, 0, 0, Buffer.alloc(7))],
  ['GOAWAY of a stream', CODE.protocolError, frame(FRAME.goaway, 0, 1, Buffer.alloc(8))],
  ['a window that grows by nothing', CODE.protocolError, update(0, 0)],
  ['a window beyond 2^31', CODE.flowControlError, update(0, MAX_WINDOW)],
  ['WINDOW_UPDATE of another length', CODE.frameSizeError, frame(FRAME.windowUpdate, 0, 0, Buffer.alloc(3))],
  ['WINDOW_UPDATE of a stream that never was', CODE.protocolError, update(1, 1)],
  [
    'settings that make a window too large',
    CODE.flowControlError,
    open(1),
    update(1, MAX_WINDOW - 65_535),
    frame(FRAME.settings, 0, 0, setting(SETTING.initialWindowSize, 65_536)),
  ],
  ['a frame that is too large', CODE.frameSizeError, frame(FRAME.ping, 0, 0, Buffer.alloc(16_385))],
];

/** The fault concerns stream 1. */
const STREAM: readonly Fault[] = [
  ['DATA behind the end of the request', CODE.streamClosed, get(1), data(1, 1)],
  ['HEADERS behind the end of the request', CODE.streamClosed, get(1), get(1)],
  [
    'trailers that are not the end',
    CODE.protocolError,
    open(1),
    frame(FRAME.headers, FLAG.endHeaders, 1, block([['x', 'y']])),
  ],
  ['a pseudo field in trailers', CODE.protocolError, open(1), get(1)],
  ['a window that grows by nothing', CODE.protocolError, get(1), update(1, 0)],
  ['a window beyond 2^31', CODE.flowControlError, get(1), update(1, MAX_WINDOW)],
  ['PRIORITY of another length', CODE.frameSizeError, get(1), frame(FRAME.priority, 0, 1, Buffer.alloc(4))],
  [
    'more DATA than the stream may have',
    CODE.flowControlError,
    open(1),
    ...Array.from({ length: 5 }, () => data(1, 16_384)),
  ],
];

/** An app that answers nothing and reads nothing. */
async function lab(t: TestContext): Promise<Http2Edge> {
  const app = await scriptedUpstream(t, (wire) => wire.socket.pause());
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  return edge;
}

test('connection errors end the connection with their code', async (t) => {
  const edge = await lab(t);
  for (const [name, code, ...frames] of CONNECTION) {
    const client = await RawClient.open(t, edge);
    client.send(...frames);
    await eventually(name, () => client.ended);
    assert.deepEqual(
      client.of(0, FRAME.goaway).map(({ payload }) => payload.readUInt32BE(4)),
      [code],
      name,
    );
  }
});

test('stream errors reset the stream with their code, and the others continue', async (t) => {
  const edge = await lab(t);
  for (const [name, code, ...frames] of STREAM) {
    const client = await RawClient.open(t, edge);
    client.send(...frames);
    const reset = await client.sees(({ type, stream }) => type === FRAME.reset && stream === 1);
    assert.equal(reset.payload.readUInt32BE(), code, name);
    // Frames for the closed stream, which were in flight.
    client.send(data(1, 10), update(1, 100), frame(FRAME.ping, 0, 0, Buffer.from('12345678')));
    await client.sees(({ type, flags }) => type === FRAME.ping && flags === FLAG.ack);
    client.socket.destroy();
  }
});

test('a wrong preface, or a frame before SETTINGS, ends the connection', async (t) => {
  const edge = await lab(t);
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'),
    Buffer.concat([preface, get(1)]),
    Buffer.concat([preface, frame(FRAME.settings, FLAG.ack, 0)]),
    Buffer.concat([preface, data(1, 1)]),
  ]) {
    const client = await RawClient.open(t, edge, null);
    client.send(bytes);
    await eventually('the end', () => client.ended);
    assert.equal(client.of(0, FRAME.goaway)[0]?.payload.readUInt32BE(4), CODE.protocolError);
  }
});

test('DATA on a completed stream is an error, and late WINDOW_UPDATE and RST_STREAM on it are ignored', async (t) => {
  const app = await scriptedUpstream(t, answering(OK));
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge);
  client.send(get(1));
  await client.sees(({ type, stream, flags }) => type === FRAME.data && stream === 1 && (flags & 1) === 1);
  // Late frames about a window or a reset are ignored.
  client.send(update(1, 10), frame(FRAME.reset, 0, 1, number(8)), frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
  await client.sees(({ type }) => type === FRAME.ping);
  client.send(data(1, 1));
  await eventually('the end', () => client.ended);
  assert.equal(client.of(0, FRAME.goaway)[0]?.payload.readUInt32BE(4), CODE.streamClosed);
});

test('PING is answered with its bytes, SETTINGS are acknowledged, and unknown frames are ignored', async (t) => {
  const edge = await lab(t);
  const client = await RawClient.open(t, edge);
  const unknown = [frame(0x42, 0xff, 7, Buffer.alloc(20)), frame(FRAME.settings, 0, 0, setting(0x99, 7))];
  client.send(
    ...unknown,
    frame(FRAME.priority, 0, 9, Buffer.alloc(5)),
    frame(FRAME.ping, 0, 0, Buffer.from('orkestr!')),
  );
  const ping = await client.sees(({ type }) => type === FRAME.ping);
  assert.deepEqual([ping.flags, ping.payload.toString()], [FLAG.ack, 'orkestr!']);
  assert.equal(client.frames.filter(({ type, flags }) => type === FRAME.settings && flags === FLAG.ack).length, 2);
});

test('padded and prioritised frames, and split header blocks, form the same request', async (t) => {
  const app = await scriptedUpstream(t);
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge);
  const bytes = block([...POST, ['content-length', '5']]);
  const flags = FLAG.padded | FLAG.priority;
  client.send(
    frame(
      FRAME.headers,
      flags,
      1,
      Buffer.concat([Buffer.from([3, 0, 0, 0, 3, 7]), bytes.subarray(0, 10), Buffer.alloc(3)]),
    ),
    frame(FRAME.continuation, 0, 1, bytes.subarray(10, 20)),
    frame(FRAME.continuation, FLAG.endHeaders, 1, bytes.subarray(20)),
    frame(FRAME.data, FLAG.padded, 1, Buffer.concat([Buffer.from([200]), Buffer.from('he'), Buffer.alloc(200)])),
    frame(FRAME.data, FLAG.padded | FLAG.endStream, 1, Buffer.concat([Buffer.from([0]), Buffer.from('llo')])),
  );
  const wire = await app.wire(0);
  await wire.sees(/content-length: 5\r\n\r\nhello$/);
  wire.send(OK);
  await client.sees(({ type, stream }) => type === FRAME.data && stream === 1);
});

test('a response respects the windows of stream and connection, and continues when they grow', async (t) => {
  const app = await scriptedUpstream(
    t,
    answering(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`),
  );
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge, setting(SETTING.initialWindowSize, 10));
  const got = (stream: number): number =>
    client.of(stream, FRAME.data).reduce((sum, { payload }) => sum + payload.length, 0);
  client.send(get(1));
  await eventually('ten octets', () => got(1) === 10);
  client.send(frame(FRAME.settings, 0, 0, setting(SETTING.initialWindowSize, 5)), update(1, 90));
  // The window of an open stream changes with the setting: 5 less, and 90 more.
  await eventually('the rest of the window', () => got(1) === 95);
  client.send(update(1, 1_000_000));
  await eventually('the window of the connection', () => got(1) === 65_535);
  client.send(update(0, 10_000));
  await eventually('what it grew by', () => got(1) === 75_535);
  client.send(update(0, 1_000_000));
  await client.sees(({ type, stream, flags }) => type === FRAME.data && stream === 1 && flags === FLAG.endStream);
  assert.equal(got(1), 100_000);
});

/** Sends a body between two offsets, as much at a time as its window allows. @returns the largest window */
async function upload(client: RawClient, stream: number, from: number, to: number): Promise<number> {
  let sent = from;
  let largest = 0;
  const updates = (): number =>
    client.of(stream, FRAME.windowUpdate).reduce((sum, one) => sum + one.payload.readUInt32BE(), 0);
  const window = (): number => 65_535 + updates() - sent;
  while (sent < to) {
    largest = Math.max(largest, window());
    const length = Math.min(window(), to - sent);
    for (let left = length; left > 0; left -= 16_384) client.send(data(stream, Math.min(left, 16_384)));
    sent += length;
    await eventually('the app takes most of it', () => window() >= 32_768);
  }
  return largest;
}

/** Uploads until the window is fully grown, however fast the app reads. @returns the last window and offset */
async function uploadUntilGrown(
  client: RawClient,
  stream: number,
  from: number,
): Promise<[window: number, sent: number]> {
  for (let sent = from; sent < from + 100_000_000; sent += 2_000_000) {
    const window = await upload(client, stream, sent, sent + 2_000_000);
    if (window > 900_000) return [window, sent + 2_000_000];
  }
  throw new Error('the window does not grow');
}

test('the window of an upload grows while its app reads all of it, within the shared limit of the connection', async (t) => {
  const app = createServer((req) => req.resume());
  const port = await listen(app);
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(port));
  const client = await RawClient.open(t, edge);
  client.send(open(1), open(3));
  const [window] = await uploadUntilGrown(client, 1, 0);
  assert.ok(window <= 65_535 + 1_048_576, String(window));
  assert.ok((await upload(client, 3, 0, 1_000_000)) <= 65_535 + 1_048_576 - (window - 65_535));
  client.send(frame(FRAME.reset, 0, 1, number(8)));
  await uploadUntilGrown(client, 3, 1_000_000);
});

test('streams take turns: a large response does not block others', async (t) => {
  const size = 2_000_000;
  const app = await scriptedUpstream(
    t,
    answering(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`),
  );
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge, setting(SETTING.initialWindowSize, MAX_WINDOW));
  const streams = [1, 3, 5, 7];
  const got = (stream: number): number =>
    client.of(stream, FRAME.data).reduce((sum, { payload }) => sum + payload.length, 0);
  client.send(...streams.map((stream) => get(stream)));
  await eventually('all wait for the window', () => streams.reduce((sum, stream) => sum + got(stream), 0) === 65_535);
  await eventually('all answers are there', () => app.wires.length === 4);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = streams.map(got);
  client.send(update(0, 65_536));
  await eventually('the window is used', () => streams.reduce((sum, stream) => sum + got(stream), 0) === 131_071);
  const shares = streams.map((stream, index) => got(stream) - (before[index] ?? 0));
  // Some streams had little left of what they had read from their app.
  assert.ok(Math.max(...shares) <= 2 * 16_384, shares.join());
});

test('a client with a small header table is told that ours is empty, and reads the response', async (t) => {
  const app = await scriptedUpstream(t, answering(OK));
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge, setting(SETTING.headerTableSize, 0));
  client.send(get(1));
  client.send(get(3));
  for (const [stream, first] of [
    [1, 0x20],
    [3, 0x88],
  ] as const) {
    const head = await client.sees((one) => one.type === FRAME.headers && one.stream === stream);
    assert.equal(head.payload[0], first);
  }
});

test('the first GOAWAY refuses nothing, the second refuses later streams, and the connection ends with its streams', async (t) => {
  const app = await scriptedUpstream(t);
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge);
  client.send(get(1));
  const wire = await app.wire(0);
  const closed = edge.front.close();
  const first = await client.sees(({ type }) => type === FRAME.goaway);
  assert.equal(first.payload.readUInt32BE(), MAX_WINDOW);
  client.send(get(3));
  await app.wire(1);
  await eventually('the second one', () => client.of(0, FRAME.goaway).length === 2);
  assert.equal(client.of(0, FRAME.goaway)[1]?.payload.readUInt32BE(), 3);
  client.send(open(5), data(5, 10), frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
  await client.sees(({ type }) => type === FRAME.ping);
  wire.send(OK);
  (await app.wire(1)).send(OK);
  await closed;
  assert.equal(app.wires.length, 2);
  assert.deepEqual([client.of(1, FRAME.data).length, client.of(3, FRAME.data).length], [1, 1]);
});

test('a response without a body is one frame, and its connection to the app is reused', async (t) => {
  const app = await scriptedUpstream(t, answering('HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'));
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  const client = await RawClient.open(t, edge);
  for (const stream of [1, 3]) {
    client.send(get(stream));
    const head = await client.sees((one) => one.type === FRAME.headers && one.stream === stream);
    assert.equal(head.flags, END);
  }
  assert.equal(app.wires.length, 1);
  assert.equal((await ask(await edge.connect(), {})).status, 304);
  await eventually('all are served', () => edge.seen.length === 3);
  assert.ok(edge.seen.every(({ outcome }) => outcome === 'served'));
});
