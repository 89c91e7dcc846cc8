/** What HTTP/2 clients must not be able to do to the proxy or to the apps behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG, FRAME } from '../../../proxy/h2/wire/codes.ts';
import { block, frame, number, setting } from '../../../proxy/h2/wire/test-frames.ts';
import { GET, RawClient } from './h2-frames.ts';
import { ask } from './h2-harness.ts';
import { answering, eventually, OK } from './harness.ts';
import { instead, lab } from './h2-lab.ts';
import type { Field } from './h2-lab.ts';

const ENHANCE_YOUR_CALM = 11;

/** The error code of a GOAWAY, which follows the last stream. */
const codeOf = (goaway: { payload: Buffer } | undefined): number => goaway?.payload.readUInt32BE(4) ?? -1;

/** Frames that make us reset a stream whose request is whole while its app works on it (CVE-2025-8671). */
const PROVOCATIONS: Record<string, (stream: number) => Buffer> = {
  'a window that grows by nothing': (stream) => update(stream, 0),
  'a window beyond all bounds': (stream) => update(stream, 2 ** 31 - 1),
  'a body behind the end': (stream) => frame(FRAME.data, 0, stream, Buffer.alloc(300)),
  'a second head': (stream) => frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, stream, block(GET)),
  'PRIORITY of another length': (stream) => frame(FRAME.priority, 0, stream, Buffer.alloc(4)),
};

const POST: readonly Field[] = instead(':method', 'POST');

const openStream = frame(FRAME.headers, FLAG.endHeaders, 1, block(POST));

const update = (stream: number, increment: number): Buffer => frame(FRAME.windowUpdate, 0, stream, number(increment));

/** Frames that cost us work and carry nothing (CVE-2019-9511, 9512, 9513, 9515, 9518). */
const FLOODS: Record<string, Buffer> = {
  PING: frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
  'acknowledgements of PING': frame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8)),
  SETTINGS: frame(FRAME.settings, 0, 0, setting(4, 65_535)),
  'acknowledgements of SETTINGS': frame(FRAME.settings, FLAG.ack, 0),
  'empty DATA': frame(FRAME.data, 0, 1),
  'DATA of padding': frame(FRAME.data, FLAG.padded, 1, Buffer.from([1, 0])),
  GOAWAY: frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
  'RST_STREAM of a stream that is over': frame(FRAME.reset, 0, 3, number(8)),
  'WINDOW_UPDATE of a stream that is over': update(3, 1),
  PRIORITY: frame(FRAME.priority, 0, 9, Buffer.alloc(5)),
  'small windows': update(0, 1),
  'frames of no known type': frame(0x77, 0, 1, Buffer.alloc(3)),
};

test('rapid resets end the connection before they cost the app much (CVE-2023-44487)', async (t) => {
  const { edge, app } = await lab(t, () => undefined);
  const client = await RawClient.open(t, edge);
  for (let stream = 1; stream < 4000 && !client.ended; stream += 2) {
    client.request(stream, GET);
    client.send(frame(FRAME.reset, 0, stream, number(8)));
    if (stream % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('the end of the connection', () => client.ended);
  assert.ok(app.wires.length < 600, `${app.wires.length} connections to the app`);
  await eventually('nothing stays open', () => app.wires.every(({ ended }) => ended !== null));
  assert.equal(codeOf(client.of(0, FRAME.goaway)[0]), ENHANCE_YOUR_CALM);
});

test('a client that cancels one request in five, as with deadlines, is not an attacker', async (t) => {
  const { edge } = await lab(t);
  const client = await RawClient.open(t, edge);
  for (let round = 0; round < 40 && !client.ended; round += 1) {
    const first = 200 * round + 1;
    for (let stream = first; stream < first + 200; stream += 2) {
      client.request(stream, GET);
      if (stream % 10 === 1) client.send(frame(FRAME.reset, 0, stream, number(8)));
    }
    const last = first + 198;
    await eventually('the last answer', () => client.ended || client.of(last, FRAME.data).length > 0);
  }
  assert.equal(client.ended, false);
});

test('streams that a client makes us reset count too (CVE-2025-8671)', async (t) => {
  for (const [name, provoke] of Object.entries(PROVOCATIONS)) {
    const { edge, app } = await lab(t, () => undefined);
    const client = await RawClient.open(t, edge);
    for (let stream = 1; stream < 4000 && !client.ended; stream += 2) {
      client.request(stream, GET);
      client.send(provoke(stream));
      if (stream % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(name, () => client.ended);
    assert.equal(codeOf(client.of(0, FRAME.goaway)[0]), ENHANCE_YOUR_CALM, name);
    assert.ok(app.wires.length < 600, `${name}: ${app.wires.length} connections to the app`);
    await eventually('nothing stays open', () => app.wires.every(({ ended }) => ended !== null));
  }
});

test('an endless head is cut off (CONTINUATION flood)', async (t) => {
  const { edge, app } = await lab(t);
  const client = await RawClient.open(t, edge);
  client.send(frame(FRAME.headers, FLAG.endStream, 1, block(GET)));
  let sent = 0;
  while (!client.ended && sent < 8_000_000) {
    client.send(frame(FRAME.continuation, 0, 1, block([['x', 'y'.repeat(8000)]])));
    sent += 8000;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('the end of the connection', () => client.ended);
  assert.ok(sent < 2_000_000, `${sent} bytes were taken`);
  assert.equal(app.wires.length, 0);
});

test('a head that is too large gets 431, and an HPACK bomb ends its stream or connection', async (t) => {
  const { edge, app } = await lab(t);
  const session = await edge.connect();
  const large = await ask(session, { 'x-large': 'a'.repeat(17_000) });
  assert.equal(large.status, 431);
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`x-${index}`, 'a']));
  assert.equal((await ask(session, many)).status, 431);
  const client = await RawClient.open(t, edge);
  // One field of 4 KB in the decoder's table, then referenced many times with one byte each (HPACK bomb).
  const big = Buffer.concat([Buffer.from([0x40]), block([['x-bomb', 'b'.repeat(3900)]]).subarray(1)]);
  client.send(
    frame(
      FRAME.headers,
      FLAG.endStream | FLAG.endHeaders,
      1,
      Buffer.concat([block(GET), big, Buffer.alloc(4000, 0xbe)]),
    ),
  );
  await eventually(
    'a reset or the end',
    () => client.ended || client.of(1, FRAME.reset).length > 0 || client.of(0, FRAME.goaway).length > 0,
  );
  assert.equal(app.wires.length, 0);
});

test('floods of PING and SETTINGS from a client that does not read the answers end the connection', async (t) => {
  for (const flood of [frame(FRAME.ping, 0, 0, Buffer.alloc(8)), frame(FRAME.settings, 0, 0, setting(4, 65_535))]) {
    const { edge } = await lab(t);
    const client = await RawClient.open(t, edge);
    client.socket.pause();
    const many = Buffer.concat(Array.from({ length: 2000 }, () => flood));
    for (let round = 0; round < 400 && client.socket.writable && client.socket.writableLength < 4_000_000; round += 1) {
      client.send(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.resume();
    await eventually('the end of the connection', () => client.ended);
  }
});

test('floods of useless frames end the connection, even if their answers are read', async (t) => {
  const { edge } = await lab(t, () => undefined);
  for (const [name, flood] of Object.entries(FLOODS)) {
    const client = await RawClient.open(t, edge);
    client.send(openStream, frame(FRAME.headers, FLAG.endHeaders, 3, block(POST)), frame(FRAME.reset, 0, 3, number(8)));
    const many = Buffer.concat(Array.from({ length: 1000 }, () => flood));
    for (let round = 0; round < 20 && !client.ended; round += 1) {
      client.send(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(name, () => client.ended);
    assert.equal(codeOf(client.of(0, FRAME.goaway)[0]), ENHANCE_YOUR_CALM, name);
  }
});

test('a flood of requests after the last GOAWAY ends the connection, even during a response', async (t) => {
  const { edge, app } = await lab(t, () => undefined);
  const client = await RawClient.open(t, edge);
  client.request(1, GET);
  await app.wire(0);
  void edge.front.close();
  await eventually('the last GOAWAY', () => client.of(0, FRAME.goaway).length === 2);
  for (let stream = 3; stream < 40_000 && !client.ended; stream += 2) {
    client.request(stream, GET);
    if (stream % 1000 === 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('its end', () => client.ended);
  assert.equal(codeOf(client.of(0, FRAME.goaway)[2]), ENHANCE_YOUR_CALM);
});

test('a client that sends PING and WINDOW_UPDATE for every frame of a large response is not a flood', async (t) => {
  const size = 120_000_000;
  const { edge } = await lab(t, (wire) =>
    wire.socket.once('data', () => {
      wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      wire.socket.write(Buffer.alloc(size, 'x'));
    }),
  );
  const client = await RawClient.open(t, edge);
  client.request(1, GET);
  let got = 0;
  while (got < size && !client.ended) {
    const frames = client.frames.splice(0);
    for (const { type, payload } of frames) {
      if (type !== FRAME.data || payload.length === 0) continue;
      got += payload.length;
      client.send(update(0, payload.length), update(1, payload.length), frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([got, client.ended], [size, false]);
});

test('a client that sends WINDOW_UPDATE and PING for every small message of a stream is not a flood', async (t) => {
  const messages = 2000;
  const { edge } = await lab(t, (wire) =>
    wire.socket.once('data', () => {
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      wire.send(`5\r\nhello\r\n`.repeat(messages));
    }),
  );
  const client = await RawClient.open(t, edge);
  // As gRPC does in Go and in Dart, each message in its own frame.
  for (let round = 0; round < 3; round += 1) {
    client.frames.length = 0;
    const stream = 2 * round + 1;
    client.request(stream, GET);
    await eventually('all messages', () => client.ended || client.of(stream, FRAME.data).length === messages);
    for (let index = 0; index < messages; index += 1) {
      client.send(update(0, 5), update(stream, 5), frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    }
    await eventually('all answers', () => client.ended || client.of(0, FRAME.ping).length === messages);
  }
  assert.equal(client.ended, false);
});

test('a client that requests a large response octet by octet is cut off', async (t) => {
  const { edge } = await lab(t, answering(`HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n${'x'.repeat(50_000)}`));
  const client = await RawClient.open(t, edge, setting(4, 1));
  client.request(1, GET);
  for (let round = 0; round < 5000 && !client.ended; round += 1) {
    client.send(update(1, 1));
    if (round % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('its end', () => client.ended);
  assert.equal(codeOf(client.of(0, FRAME.goaway)[0]), ENHANCE_YOUR_CALM);
});

test('a client that reads no responses is not read either, and gets them all once it reads', async (t) => {
  const head = `HTTP/1.1 304 Not Modified\r\nX-Large: ${'x'.repeat(12_000)}\r\n\r\n`;
  let answered = 0;
  const { edge } = await lab(t, (wire) =>
    wire.socket.on('data', () => {
      answered += 1;
      wire.send(head);
    }),
  );
  const client = await RawClient.open(t, edge);
  client.socket.pause();
  let asked = 0;
  for (let waits = 0; waits < 50 && asked < 4000;) {
    if (answered === asked) {
      for (let index = 0; index < 100; index += 1) client.request(2 * asked++ + 1, GET);
      waits = 0;
    }
    waits += 1;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // All responses would be 48 MB; the kernel takes some of that.
  assert.ok(answered < 3000, `${answered} answers wait`);
  client.socket.resume();
  await eventually('all of them', () => client.frames.filter(({ type }) => type === FRAME.headers).length === asked);
});

test('an incomplete request is given up, whatever the connection did before', async (t) => {
  let ahead = 0;
  const { edge } = await lab(t, answering(OK), { aheadMs: () => ahead });
  const parts = [
    frame(FRAME.headers, FLAG.endStream, 3, block(GET)),
    frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 3, block(GET)).subarray(0, 20),
  ];
  for (const part of parts) {
    ahead = 0;
    const client = await RawClient.open(t, edge);
    client.request(1, GET);
    await client.sees(({ type, stream }) => type === FRAME.data && stream === 1);
    ahead = 40_000;
    client.send(part);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.equal(client.ended, false);
    ahead = 55_000;
    await eventually('its end', () => client.ended);
  }
});

test('streams above the limit are refused, and the others are served', async (t) => {
  const { edge, app } = await lab(t, () => undefined);
  const client = await RawClient.open(t, edge);
  for (let stream = 1; stream <= 2 * 140; stream += 2) client.request(stream, GET);
  await client.sees(({ type, payload }) => type === FRAME.reset && payload.readUInt32BE() === 7);
  await eventually('128 requests', () => app.wires.length === 128);
  for (const wire of app.wires) wire.send(OK);
  await eventually(
    'their answers',
    () => client.frames.filter(({ type, flags }) => type === FRAME.data && (flags & 1) === 1).length === 128,
  );
});

test('a client that does not know our stream limit yet may exceed it; one that does may not', async (t) => {
  const { edge } = await lab(t, () => undefined);
  for (const isKnown of [false, true]) {
    const client = await RawClient.open(t, edge);
    if (isKnown) client.send(frame(FRAME.settings, FLAG.ack, 0));
    client.send(
      ...Array.from({ length: 600 }, (_, index) =>
        frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 2 * index + 1, block(GET)),
      ),
    );
    client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    await eventually('its end, or an answer', () => client.ended || client.of(0, FRAME.ping).length > 0);
    assert.equal(client.ended, isKnown);
    client.socket.destroy();
  }
});

test('a client that opens no window holds back its app, and is reset after a while', async (t) => {
  let ahead = 0;
  const size = 64 * 1024 * 1024;
  let written = 0;
  const { edge } = await lab(
    t,
    (wire) =>
      wire.socket.on('data', () => {
        wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        wire.socket.write(Buffer.alloc(size));
        written = wire.socket.writableLength;
      }),
    { aheadMs: () => ahead },
  );
  const client = await RawClient.open(t, edge, setting(4, 0));
  client.request(1, GET);
  await client.sees(({ type, stream }) => type === FRAME.headers && stream === 1);
  await eventually('the app has written', () => written > 0);
  ahead = 30_000;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(client.of(1, FRAME.reset).length, 0);
  ahead = 200_000;
  await client.sees(({ type, stream }) => type === FRAME.reset && stream === 1);
  assert.ok(edge.seen.length === 0 || (edge.seen[0]?.bytesOut ?? 0) < 2_000_000);
});

test('idle and silent connections are closed, busy ones are not', async (t) => {
  let ahead = 0;
  const { edge, app } = await lab(t, () => undefined, { aheadMs: () => ahead });
  const [idle, silent, busy] = [
    await RawClient.open(t, edge),
    await RawClient.open(t, edge, null),
    await RawClient.open(t, edge),
  ];
  busy.request(1, GET);
  await app.wire(0);
  ahead = 15_000;
  await eventually('the silent one is closed', () => silent.ended);
  assert.equal(idle.ended, false);
  ahead = 50_000 + 20_000;
  await idle.sees(({ type }) => type === FRAME.goaway);
  await eventually('the idle one is closed', () => idle.ended);
  assert.equal(busy.ended, false);
});
