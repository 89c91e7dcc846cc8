/** What the proxy waits for, for how long, and what client and app get when the time is up. */
import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { test } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { startServing } from './engine-harness.ts';
import {
  answering,
  counts,
  entryFor,
  eventually,
  HEAD,
  listen,
  OK,
  planeOf,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
  uuid,
} from './harness.ts';
import { stuckPort } from './stuck.ts';

testBoth('a refused connection yields 502, a silent app 504, and both are counted', async (t) => {
  const edge = await startEdge(t, { timeouts: { responseHeadMs: 50 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const slow = await edge.send(`GET / ${HEAD}\r\n`);
  await slow.sees(/^HTTP\/1.1 504 .*ORK_APP_TIMEOUT/s);
  await (await upstream.wire(0)).end();
  await upstream.close();
  const down = await edge.send(`GET / ${HEAD}\r\n`);
  await down.sees(/^HTTP\/1.1 502 .*ORK_APP_UNREACHABLE/s);
  assert.deepEqual(counts(edge), { failed: 2, served: 0, targetFailed: 2, inFlight: 0 });
});

testBoth('a connect without an answer yields 504', async (t) => {
  const port = await stuckPort(t);
  const edge = await startEdge(t, { timeouts: { connectMs: 50 } });
  await route(edge, port);
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 504 .*ORK_APP_TIMEOUT/s);
  await (await edge.send(`POST / ${HEAD}Content-Length: 3\r\n\r\nabc`)).sees(/^HTTP\/1.1 504 /);
  assert.deepEqual(counts(edge), { failed: 2, served: 0, targetFailed: 2, inFlight: 0 });
});

testBoth('if one copy accepts no connection another one gets the request, and is preferred for a while', async (t) => {
  const edge = await startEdge(t, { timeouts: { connectMs: 50 } });
  const alive = await scriptedUpstream(t, answering(OK));
  const targets = [await stuckPort(t), alive.port].map((port) => ({ id: uuid(1001), address: '127.0.0.1', port }));
  await edge.proxy.table.flip({ entry: entryFor(0, { targets }), expectedGeneration: 0 });
  for (const method of ['GET', 'DELETE']) {
    await (await edge.send(`${method} / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 200 /);
  }
  assert.equal(counts(edge).failed, 0);
  const upstream = planeOf(edge.proxy).routesOf('app.test')?.find('/')?.upstream;
  assert.ok((upstream?.targets()[0]?.refusals ?? 0) > 0, 'it is passed over for a while');
});

test('if one copy of an HTTP/2 app accepts no connection another one gets the request', async (t) => {
  const edge = await startEdge(t, { timeouts: { connectMs: 50 } });
  const app = createHttp2Server().on('stream', (stream) => stream.respond({ ':status': 204 }, { endStream: true }));
  t.after(() => app.close());
  const ports = [await stuckPort(t), await listen(app)];
  const targets = ports.map((port) => ({ id: uuid(1001), address: '127.0.0.1', port }));
  const entry = entryFor(0, { targets, edge: EdgeSettings.parse({ appProtocol: 'h2c' }) });
  await edge.proxy.table.flip({ entry, expectedGeneration: 0 });
  await (await edge.send(`GET / ${HEAD}\r\n`)).sees(/^HTTP\/1.1 204 /);
  assert.equal(counts(edge).failed, 0);
});

testBoth('a long upload does not count as a silent app, and a client that stalls in it gets 408', async (t) => {
  const edge = await startEdge(t, { timeouts: { responseHeadMs: 500 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 100\r\n\r\n`);
  for (let sent = 0; sent < 60; sent += 1) {
    client.send('x');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(client.received, '');
  await client.sees(/^HTTP\/1.1 408 /);
  await client.end();
  assert.equal(counts(edge).failed, 0);
});

testBoth("a body that trickles gets 408 after its grace period, and its app's connection is closed", async (t) => {
  const edge = await startEdge(t, { timeouts: { bodyGraceMs: 200 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 100000\r\n\r\n`);
  const trickle = setInterval(() => client.send('a'), 20);
  t.after(() => clearInterval(trickle));
  await client.sees(/^HTTP\/1.1 408 .*Connection: close/s);
  await (await upstream.wire(0)).end();
  assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 0, inFlight: 0 });
});

testBoth('after the response has begun the request body may trickle', async (t) => {
  const edge = await startEdge(t, { timeouts: { bodyGraceMs: 50 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 5\r\n\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n');
  await client.sees(/1\r\n0\r\n$/);
  for (let sent = 1; sent <= 5; sent += 1) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    client.send('a');
    await wire.sees(new RegExp(`\\r\\n\\r\\na{${sent}}$`));
    wire.send(`1\r\n${sent}\r\n`);
    await client.sees(`1\r\n${sent}\r\n`);
  }
  wire.send('0\r\n\r\n');
  await client.sees(/0\r\n\r\n$/);
});

testBoth('a body that arrives fast enough may take its time, and so may its app', async (t) => {
  const edge = await startEdge(t, { timeouts: { bodyGraceMs: 100 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 20000\r\n\r\n`);
  for (let sent = 0; sent < 20; sent += 1) {
    client.send('a'.repeat(1000));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const wire = await upstream.wire(0);
  await wire.sees(/a{20000}$/);
  await new Promise((resolve) => setTimeout(resolve, 200));
  wire.send(OK);
  await client.sees(/^HTTP\/1.1 200 .*ok$/s);
});

testBoth('a connection without a request is closed after its idle time, and one with a request is not', async (t) => {
  const edge = await startServing(t, { timeouts: { clientIdleMs: 200 } });
  const upstream = await scriptedUpstream(t, (wire, index) => index > 0 && answering(OK)(wire));
  edge.serve(upstream.port);
  const busy = await edge.send(`GET /long ${HEAD}\r\n`);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  const idle = await edge.send(`GET /short ${HEAD}\r\n`);
  await idle.sees(/^HTTP\/1.1 200 .*ok$/s);
  assert.equal(await idle.end(), 'fin');
  assert.match(idle.received, /^HTTP\/1.1 200 .*\r\n\r\nok$/s);
  // It has been silent for longer; the limits are checked every half second.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal(busy.ended, null);
  wire.send(OK);
  await busy.sees(/^HTTP\/1.1 200 .*ok$/s);
  assert.equal(await busy.end(), 'fin');
});

test('a client that stalls in its body gets 408, and one that stops reading is dropped', async (t) => {
  const edge = await startServing(t, { timeouts: { clientStallMs: 150 } });
  const upstream = await scriptedUpstream(t);
  edge.serve(upstream.port);
  const sender = await edge.send(`POST / ${HEAD}Content-Length: 10\r\n\r\nabc`);
  await sender.sees(/^HTTP\/1.1 408 .*Connection: close/s);
  assert.equal(await sender.end(), 'fin');
  const body = await upstream.wire(0);
  await body.end();
  const reader = await edge.send(`GET / ${HEAD}\r\n`);
  reader.socket.pause();
  const wire = await upstream.wire(1);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n');
  wire.socket.write(Buffer.alloc(64_000_000));
  await wire.end();
  await eventually('both to be told of', () => edge.seen.length === 2);
  assert.deepEqual(
    edge.seen.map(({ status, outcome }) => [status, outcome]),
    [
      [408, 'abandoned'],
      [200, 'abandoned'],
    ],
  );
});

test('a client of the general engine that stops reading is dropped, too', async (t) => {
  const edge = await startServing(t, { timeouts: { clientStallMs: 150 } });
  const upstream = await scriptedUpstream(t);
  edge.serve(upstream.port, { compression: true });
  const reader = await edge.send(`GET / ${HEAD}\r\n`);
  reader.socket.pause();
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n');
  wire.socket.write(Buffer.alloc(64_000_000));
  await wire.end();
  await eventually('it to be told of', () => edge.seen.length === 1);
  assert.equal(edge.seen[0]?.outcome, 'abandoned');
  assert.equal(edge.seen[0].engine, 'general');
});

test('a client that stops reading is dropped even while others reuse the connection of its response', async (t) => {
  const edge = await startServing(t, { timeouts: { clientStallMs: 300, poolIdleMs: 60_000 } });
  const large = `HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(60_000)}`;
  const app = await scriptedUpstream(t, (wire) => {
    let asked = 0;
    wire.socket.on('data', () => {
      const heads = wire.received.match(/GET \/\w+ /g) ?? [];
      for (; asked < heads.length; asked += 1) wire.send(heads[asked] === 'GET /large ' ? large : OK);
    });
  });
  // Routes the request to the general engine.
  edge.serve(app.port, { compression: true });
  const reader = await edge.connect();
  reader.socket.pause();
  // Until the kernel has no room for a complete response.
  reader.send(`GET /large ${HEAD}\r\n`.repeat(200));
  const other = await edge.connect();
  const asking = setInterval(() => other.send(`GET /other ${HEAD}\r\n`), 20);
  t.after(() => clearInterval(asking));
  await eventually('it to be let go', () => edge.seen.some(({ outcome }) => outcome === 'abandoned'));
  assert.equal(edge.seen.find(({ outcome }) => outcome === 'abandoned')?.engine, 'general');
});

test('a body that begins after the response to its request leaves no timer behind', async (t) => {
  const edge = await startServing(t);
  const app = await scriptedUpstream(t, answering(OK));
  edge.serve(app.port, { compression: true });
  const client = await edge.connect();
  const post = async (): Promise<void> => {
    client.received = '';
    await client.send(`POST / ${HEAD}Content-Length: 5\r\n\r\n`).sees(/ok$/);
    client.received = '';
    await client.send(`12345GET / ${HEAD}\r\n`).sees(/ok$/);
  };
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  await post();
  const before = timers();
  for (let index = 0; index < 20; index += 1) await post();
  assert.ok(timers() < before + 10, `${timers() - before} more timers`);
});
