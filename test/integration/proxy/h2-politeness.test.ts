/** Long-lived streams at the end of a drain: each is closed as its own protocol requires, and none is reset. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { EdgeSettings } from '../../../protocol/edge.ts';
import type { DrainAnswer, UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { startHttp2Edge } from './h2-harness.ts';
import { entryFor, eventually, listen, planeOf, scriptedUpstream, startEdge, uuid } from './harness.ts';

const DRAIN = {
  upstreamId: uuid(1),
  targetId: uuid(1001),
  deadlineSeconds: 0.01,
  streamDeadlineSeconds: 0.05,
  spreadSeconds: 0,
};

/** The next target of the same upstream. */
const moved = (entry: UpstreamEntry): UpstreamEntry => ({
  ...entry,
  generation: 2,
  targets: entry.targets.map((target) => ({ ...target, id: uuid(1002) })),
});

interface Talk {
  readonly port: number;
  readonly closes: number[];
}

/** An app whose WebSockets send messages of all sizes continuously. */
async function talkingApp(t: TestContext): Promise<Talk> {
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  const closes: number[] = [];
  sockets.on('connection', (socket) => {
    let size = 0;
    const timer = setInterval(
      () => socket.bufferedAmount < 1_000_000 && socket.send(Buffer.alloc((size += 7919) % 150_000)),
      1,
    );
    socket.on('close', (code) => {
      clearInterval(timer);
      closes.push(code);
    });
  });
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return { port: await listen(server), closes };
}

test('busy WebSockets get a Close frame with 1001 on both sides, between two frames', async (t) => {
  const edge = await startEdge(t, { timeouts: { closeMs: 2000 } });
  const app = await talkingApp(t);
  const entry = entryFor(app.port);
  await edge.proxy.table.flip({ entry, expectedGeneration: 0 });
  const faults: string[] = [];
  const codes: number[] = [];
  const clients = Array.from({ length: 10 }, () => {
    const client = new WebSocket(`ws://127.0.0.1:${edge.port}/`, {
      headers: { host: 'app.test' },
      perMessageDeflate: false,
    });
    client.on('error', (error) => faults.push(String(error)));
    client.on('close', (code) => codes.push(code));
    return client;
  });
  t.after(() => clients.forEach((client) => client.terminate()));
  const timers = clients.map((client) =>
    setInterval(() => client.readyState === WebSocket.OPEN && client.send(Buffer.alloc(40_000)), 2),
  );
  t.after(() => timers.forEach((timer) => clearInterval(timer)));
  await Promise.all(clients.map((client) => once(client, 'message')));
  await edge.proxy.table.flip({ entry: moved(entry), expectedGeneration: 1 });
  const { streams } = await planeOf(edge.proxy).drain(DRAIN);
  assert.deepEqual(streams, { carried: 10, ended: 0, closed: 10 });
  await eventually('all are closed', () => codes.length === 10 && app.closes.length === 10);
  assert.deepEqual(faults, []);
  assert.ok(
    [...codes, ...app.closes].every((code) => code === 1001),
    `${codes.join()} ${app.closes.join()}`,
  );
});

const frameOf = (payload: string): string => String.fromCharCode(0x82, payload.length) + payload;
const CLOSE_1001 = '\x88\x02\x03\xe9';

test('a frame in progress is completed before the Close frame, and nothing follows it', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t);
  const entry = entryFor(app.port);
  await edge.proxy.table.flip({ entry, expectedGeneration: 0 });
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13';
  const client = await edge.send(
    `GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`,
  );
  const wire = await app.wire(0);
  await wire.sees(/\r\n\r\n$/);
  const message = frameOf('0123456789');
  wire.send(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${message.slice(0, 5)}`,
  );
  await client.sees('012');
  await edge.proxy.table.flip({ entry: moved(entry), expectedGeneration: 1 });
  const drained = planeOf(edge.proxy).drain(DRAIN);
  // The direction to the app is between frames, so it gets its Close frame (masked) at once.
  await wire.sees(/\r\n\r\n\x88\x82/);
  assert.ok(client.received.endsWith('012'));
  wire.send(`${message.slice(5)}${frameOf('more')}`);
  await client.sees(`0123456789${CLOSE_1001}`);
  // Both ends answer.
  wire.send('\x88\x02\x03\xe9');
  client.send('\x88\x82\0\0\0\0\x03\xe9');
  assert.deepEqual([await client.end(), await wire.end()], ['fin', 'fin']);
  assert.ok(client.received.endsWith(`0123456789${CLOSE_1001}`));
  assert.deepEqual((await drained).streams, { carried: 1, ended: 0, closed: 1 });
});

/** An app that sends events until its connection closes. */
async function eventsApp(t: TestContext): Promise<{ port: number; closed: () => boolean }> {
  let closed = false;
  const server = createServer((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => res.write('data: tick\n\n'), 2);
    res.on('close', () => {
      clearInterval(timer);
      closed = true;
    });
  });
  const port = await listen(server);
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return { port, closed: () => closed };
}

async function drainedOf(answer: Promise<DrainAnswer>): Promise<DrainAnswer['streams']> {
  return (await answer).streams;
}

test('an event stream over HTTP/1.1 through the general engine ends with its last chunk', async (t) => {
  const edge = await startEdge(t);
  const app = await eventsApp(t);
  const entry = entryFor(app.port, { edge: EdgeSettings.parse({ compression: true }) });
  await edge.proxy.table.flip({ entry, expectedGeneration: 0 });
  const wire = await edge.send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n');
  await wire.sees('data: tick');
  await edge.proxy.table.flip({ entry: moved(entry), expectedGeneration: 1 });
  assert.deepEqual(await drainedOf(planeOf(edge.proxy).drain(DRAIN)), { carried: 1, ended: 0, closed: 1 });
  await wire.sees(/\r\n0\r\n\r\n$/);
  await eventually('the app hears of it', app.closed);
});

test('an event stream over HTTP/2 ends with END_STREAM, directly and through the bridge', async (t) => {
  const edge = await startHttp2Edge(t);
  for (const compression of [false, true]) {
    const app = await eventsApp(t);
    const entry = entryFor(app.port, { edge: EdgeSettings.parse({ compression }) });
    edge.plane.put(entry);
    const session = await edge.connect();
    const stream = session.request({ ':authority': 'app.test', ':path': '/' });
    let received = '';
    stream.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    await eventually('events', () => received.includes('data: tick'));
    edge.plane.put(moved(entry));
    const ended = once(stream, 'end');
    const drained = drainedOf(edge.plane.drain(DRAIN));
    await ended;
    assert.equal(stream.rstCode, 0);
    assert.deepEqual(await drained, { carried: 1, ended: 0, closed: 1 });
    await eventually('the app hears of it', app.closed);
    edge.plane.remove(uuid(1));
  }
});
