/** Edge cases of WebSockets in each engine: odd handshakes and responses, split frames, slow peers, closing. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { DrainRequest } from '../../../protocol/proxy-admin.ts';
import { makeCertificate } from '../../harness/certificates.ts';
import { CLOSED_PORT } from '../../harness/free-port.ts';
import { startServing } from './engine-harness.ts';
import {
  answering,
  counts,
  entryFor,
  eventually,
  HANDSHAKE,
  HEAD,
  listen,
  OK,
  planeOf,
  route,
  scriptedUpstream,
  startEdge,
  SWITCH,
  temporaryFolder,
  testBoth,
  UPGRADE_FIELDS,
  uuid,
} from './harness.ts';
import type { Edge, ScriptedUpstream, Wire } from './harness.ts';

const TEXT = '\x81\x05hello';
/** Close 1001 as sent to a client; towards a server it is masked. */
const GOODBYE = '\x88\x02\x03\xe9';
const MASKED_GOODBYE = /\x88\x82[^]{6}$/;

/** An open WebSocket: its ends at client and app. */
async function open(t: TestContext, edge: Edge, upstream: ScriptedUpstream): Promise<{ client: Wire; app: Wire }> {
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const app = await upstream.wire(0);
  await app.sees('\r\n\r\n');
  app.send(SWITCH);
  await client.sees('\r\n\r\n');
  t.after(() => app.socket.destroy());
  return { client, app };
}

/** Retires the target of {@link open} and ends its streams almost at once. */
async function dismiss(edge: Edge): Promise<{ forced: number; streams: unknown }> {
  const targets = [{ id: uuid(1002), address: '127.0.0.1', port: 9 }];
  await edge.proxy.table.flip({ entry: entryFor(9, { generation: 2, targets }), expectedGeneration: 1 });
  const request = { upstreamId: uuid(1), targetId: uuid(1001), deadlineSeconds: 0.01, streamDeadlineSeconds: 0.02 };
  return planeOf(edge.proxy).drain(DrainRequest.parse(request));
}

/** What a wire received after its head. */
const behindHead = (wire: Wire): string => wire.received.slice(wire.received.indexOf('\r\n\r\n') + 4);

for (const [name, answer] of [
  ['no Upgrade', SWITCH.replace('Upgrade: websocket\r\n', '')],
  ['another protocol', SWITCH.replace('websocket', 'h2c')],
  ['two protocols', SWITCH.replace('websocket', 'websocket, h2c')],
  ['two Upgrades', SWITCH.replace('Upgrade: websocket\r\n', 'Upgrade: websocket\r\nUpgrade: websocket\r\n')],
  ['no Connection', SWITCH.replace('Connection: Upgrade\r\n', '')],
  ['a Connection field without upgrade', SWITCH.replace('Connection: Upgrade\r\n', 'Connection: keep-alive\r\n')],
] as const) {
  testBoth(`a 101 response to a handshake with ${name} yields 502`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, answering(answer));
    await route(edge, upstream.port);
    const client = await edge.send(HANDSHAKE);
    await client.sees(/^HTTP\/1.1 502 .*Connection: close\r\n.*ORK_APP_UNREACHABLE\n$/s);
    assert.equal(await client.end(), 'fin');
    await (await upstream.wire(0)).end();
    await eventually('the claim to end', () => counts(edge).inFlight === 0);
    assert.deepEqual(counts(edge), { failed: 1, served: 0, targetFailed: 1, inFlight: 0 });
  });
}

for (const [name, answer] of [
  ['a length', SWITCH.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n')],
  ['chunks', SWITCH.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n')],
  ['HTTP/1.0', SWITCH.replace('1.1', '1.0')],
] as const) {
  test(`a 101 response to a handshake with ${name} yields 502 in the fast engine`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, answering(answer));
    await route(edge, upstream.port);
    await (await edge.send(HANDSHAKE)).sees(/^HTTP\/1.1 502 /);
  });
}

testBoth('a 101 response passes except for its hop-by-hop fields', async (t) => {
  const edge = await startEdge(t);
  const fields =
    'Sec-WebSocket-Accept: a=\r\nconnection: keep-alive, upgrade, X-Inner\r\nX-Inner: 1\r\nUPGRADE: WebSocket\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\nSec-WebSocket-Protocol: chat\r\n';
  const upstream = await scriptedUpstream(t, answering(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n${TEXT}`));
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  await client.sees(TEXT);
  const lines = client.received.split('\r\n\r\n')[0]?.split('\r\n').slice(1).toSorted();
  assert.deepEqual(lines, [
    'Connection: Upgrade',
    'Sec-WebSocket-Accept: a=',
    'Sec-WebSocket-Protocol: chat',
    'Upgrade: websocket',
  ]);
});

testBoth('handshake, response and frames may arrive byte by byte', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.connect();
  client.socket.setNoDelay(true);
  for (const octet of HANDSHAKE + TEXT) {
    client.send(octet);
    await new Promise(setImmediate);
  }
  const app = await upstream.wire(0);
  app.socket.setNoDelay(true);
  await app.sees('\r\n\r\n');
  for (const octet of SWITCH + TEXT) {
    app.send(octet);
    await new Promise(setImmediate);
  }
  await client.sees(TEXT);
  await app.sees(TEXT);
  assert.equal(behindHead(client), TEXT);
  assert.equal(behindHead(app), TEXT);
});

test('the fast engine serves ordinary handshakes, and leaves all others to the general engine', async (t) => {
  const edge = await startServing(t);
  const upstream = await scriptedUpstream(t, answering(SWITCH));
  edge.serve(upstream.port);
  const cases: readonly (readonly [engine: string, fields: string])[] = [
    ['fast', UPGRADE_FIELDS],
    ['fast', UPGRADE_FIELDS.replace('Connection: Upgrade', 'connection: keep-alive, Upgrade')],
    ['fast', UPGRADE_FIELDS.replace('websocket', 'WebSocket')],
    ['general', UPGRADE_FIELDS.replace('Connection: Upgrade', 'Connection: Upgrade, X-A\r\nX-A: 1')],
    ['general', UPGRADE_FIELDS.replace('Version: 13', 'Version: 8')],
    ['general', UPGRADE_FIELDS.replace(/Sec-WebSocket-Key.*\r\n/, '')],
    ['general', UPGRADE_FIELDS.replace(/(Sec-WebSocket-Key.*\r\n)/, '$1$1')],
    ['general', UPGRADE_FIELDS.replace(/(Connection.*\r\n)/, '$1$1')],
    ['general', `Transfer-Encoding: chunked\r\n${UPGRADE_FIELDS}0\r\n\r\n`],
  ];
  for (const [index, [engine, fields]] of cases.entries()) {
    const client = await edge.send(`GET /ws ${HEAD}${fields}`);
    await client.sees(/^HTTP\/1.1 (101|400) /);
    client.socket.end();
    upstream.wires.at(-1)?.socket.end();
    await eventually('it was told of', () => edge.seen.length === index + 1);
    assert.equal(edge.seen[index]?.engine, engine, fields);
  }
  // A request that only looks like a handshake is refused.
  await (await edge.send(`POST /ws ${HEAD}${UPGRADE_FIELDS}`)).sees(/^HTTP\/1.1 502 /);
});

testBoth('a handshake never uses a connection of another request, and its connection is not reused', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, (wire) => {
    wire.socket.on('data', () => wire.send(wire.received.includes('/ws') ? SWITCH : OK));
  });
  await route(edge, upstream.port);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/ok$/);
  const client = await edge.send(HANDSHAKE);
  await client.sees('101');
  assert.equal(upstream.wires.length, 2);
  client.socket.end();
  (await upstream.wire(1)).socket.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/ok$/);
  assert.ok(upstream.wires.every(({ received }) => !received.includes('/ws') || !received.includes('GET / ')));
});

testBoth('one refusing copy among several of an app causes no failed WebSocket', async (t) => {
  const edge = await startEdge(t);
  const good = await scriptedUpstream(t, answering(SWITCH));
  const targets = [CLOSED_PORT, good.port].map((port) => ({ id: uuid(1001), address: '127.0.0.1', port }));
  await edge.proxy.table.flip({ entry: entryFor(good.port, { targets }), expectedGeneration: 0 });
  const clients = await Promise.all(Array.from({ length: 4 }, () => edge.send(HANDSHAKE)));
  await Promise.all(clients.map((client) => client.sees(/^HTTP\/1.1 101 /)));
});

testBoth('a dismissal waits for the end of a frame, drops what follows it, and ends both sides with FIN', async (t) => {
  const edge = await startEdge(t, { timeouts: { closeMs: 10_000 } });
  const { client, app } = await open(t, edge, await scriptedUpstream(t));
  client.send(TEXT.slice(0, 3));
  app.send(TEXT.slice(0, 1));
  await app.sees(`\r\n\r\n${TEXT.slice(0, 3)}`);
  await client.sees(`\r\n\r\n${TEXT.slice(0, 1)}`);
  const drained = dismiss(edge);
  const targets = (): readonly { streamsClosed: number }[] => planeOf(edge.proxy).counts(uuid(1))[0]?.targets ?? [];
  await eventually('the dismissal', () => targets().some(({ streamsClosed }) => streamsClosed === 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(behindHead(client), TEXT.slice(0, 1));
  client.send(`${TEXT.slice(3)}${TEXT}\x88\x00`);
  app.send(`${TEXT.slice(1)}${TEXT}\x88\x00`);
  assert.deepEqual([await client.end(), await app.end()], ['fin', 'fin']);
  assert.equal(behindHead(client), TEXT + GOODBYE);
  assert.ok(behindHead(app).startsWith(`${TEXT}\x88\x82`));
  assert.match(behindHead(app), MASKED_GOODBYE);
  client.socket.end();
  app.socket.end();
  const { forced, streams } = await drained;
  assert.deepEqual({ forced, streams }, { forced: 0, streams: { carried: 1, ended: 0, closed: 1 } });
});

testBoth('sides that do not answer a Close frame still get their FIN', async (t) => {
  const edge = await startEdge(t);
  const { client, app } = await open(t, edge, await scriptedUpstream(t));
  client.socket.pause();
  const drained = dismiss(edge);
  assert.equal(await app.end(), 'fin');
  client.socket.resume();
  assert.equal(await client.end(), 'fin');
  assert.equal(behindHead(client), GOODBYE);
  assert.match(behindHead(app), MASKED_GOODBYE);
  const { forced, streams } = await drained;
  assert.deepEqual({ forced, streams }, { forced: 0, streams: { carried: 1, ended: 0, closed: 1 } });
});

testBoth('a side that has sent a Close frame itself gets no second one', async (t) => {
  const edge = await startEdge(t);
  const { client, app } = await open(t, edge, await scriptedUpstream(t));
  app.send('\x88\x00');
  await client.sees('\x88\x00');
  void dismiss(edge);
  assert.equal(await client.end(), 'fin');
  assert.equal(behindHead(client), '\x88\x00');
});

testBoth(
  'a reset of the app ends the client, and data that the app sent before a FIN reaches a slow client',
  async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t);
    const { client, app } = await open(t, edge, upstream);
    app.socket.resetAndDestroy();
    await client.end();
    await eventually('the claim to end', () => counts(edge).inFlight === 0);
    const slow = await edge.send(HANDSHAKE);
    const second = await upstream.wire(1);
    await second.sees('\r\n\r\n');
    slow.socket.pause();
    const size = 3_000_000;
    second.send(SWITCH + 'x'.repeat(size));
    second.socket.end();
    let before = -1;
    const step = setInterval(() => {
      // A little at a time, so that the end arrives long before the last byte is read.
      slow.socket.resume();
      setTimeout(() => slow.socket.pause(), 1);
    }, 20);
    t.after(() => clearInterval(step));
    await eventually('all of it', () => {
      const grown = slow.received.length !== before;
      before = slow.received.length;
      return !grown && behindHead(slow).length === size;
    });
    clearInterval(step);
    slow.socket.resume();
    assert.equal(await slow.end(), 'fin');
  },
);

testBoth("a side that does not read holds the other back instead of filling the proxy's memory", async (t) => {
  const edge = await startEdge(t);
  const { client, app } = await open(t, edge, await scriptedUpstream(t));
  const block = Buffer.alloc(1 << 20, 'x');
  for (const [from, to] of [
    [app, client],
    [client, app],
  ] as const) {
    to.socket.pause();
    for (let sent = 0; sent < 48; sent += 1) from.socket.write(block);
    let before = -1;
    await eventually('the flow to stop', () => {
      const left = from.socket.writableLength;
      const stopped = left === before;
      before = left;
      return stopped && left < block.length * 48;
    });
    assert.ok(from.socket.writableLength > block.length * 24, `${from.socket.writableLength} bytes are held back`);
  }
  for (const wire of [client, app]) {
    let length = 0;
    wire.socket.on('data', (text) => {
      length += String(text).length;
    });
    wire.socket.resume();
    await eventually('all of it', () => length >= block.length * 48);
  }
});

testBoth('a proxy that stops sends its WebSockets a Close frame before it ends', async (t) => {
  const edge = await startEdge(t);
  const { client, app } = await open(t, edge, await scriptedUpstream(t));
  const closed = edge.proxy.close(5_000);
  await client.sees(GOODBYE);
  await app.sees(MASKED_GOODBYE);
  client.send('\x88\x82\0\0\0\0\x03\xe9');
  app.send(GOODBYE);
  assert.deepEqual([await client.end(), await app.end()], ['fin', 'fin']);
  await closed;
});

testBoth('a proxy that stops ends its WebSockets, and an open one does not delay it forever', async (t) => {
  const edge = await startEdge(t);
  const { client, app } = await open(t, edge, await scriptedUpstream(t));
  const closed = edge.proxy.close(50);
  assert.deepEqual([await client.end(), await app.end()], ['fin', 'fin']);
  await closed;
});

for (const scheme of ['ws', 'wss'] as const) {
  testBoth(`messages of all sizes are echoed completely, and a drain closes with 1001 (${scheme})`, async (t) => {
    const folder = await temporaryFolder(t);
    const { cert } = await makeCertificate(folder, 'app.test', ['DNS:app.test']);
    const certificates = scheme === 'wss' ? { certificates: folder } : {};
    const edge = await startEdge(t, { ...certificates, timeouts: { closeMs: 2000 } });
    const server = createServer();
    const sockets = new WebSocketServer({ server, maxPayload: 1 << 24 });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    t.after(() => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
    });
    await route(edge, await listen(server));
    const kind = scheme === 'ws' ? 'http' : 'https';
    const port = edge.proxy.addresses.find((address) => address.kind === kind)?.port ?? 0;
    const options = { headers: { host: 'app.test' }, ca: cert, servername: 'app.test', maxPayload: 1 << 24 };
    const clients = Array.from({ length: 4 }, () => new WebSocket(`${scheme}://127.0.0.1:${port}/`, options));
    t.after(() => clients.forEach((client) => client.terminate()));
    await Promise.all(clients.map((client) => once(client, 'open')));
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 3_000_000]) {
      await Promise.all(
        clients.map(async (client) => {
          const message = randomBytes(size);
          const echoed = once(client, 'message');
          client.send(message);
          const [data] = (await echoed) as [Buffer];
          assert.equal(digest(data), digest(message), `${size} bytes`);
        }),
      );
    }
    const ends = clients.map((client) => once(client, 'close'));
    const { streams } = await dismiss(edge);
    for (const [code] of await Promise.all(ends)) assert.equal(code, 1001);
    assert.deepEqual(streams, { carried: 4, ended: 0, closed: 4 });
  });
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
