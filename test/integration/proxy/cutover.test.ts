/** Flips and drains under traffic. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import type { RawData } from 'ws';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { DrainRequest } from '../../../protocol/proxy-admin.ts';
import {
  answering,
  counts,
  entryFor,
  eventually,
  listen,
  OK,
  planeOf,
  route,
  scriptedUpstream,
  startEdge,
  testBoth,
  uuid,
  viewOf,
} from './harness.ts';
import type { Edge } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';

const NO_STREAMS = { carried: 0, ended: 0, closed: 0 };

const coded = (code: string) => (error: OrkestrError) => error.code === code;

/** Flips app.test to a port as a new target, from the previous generation. */
function flipTo(edge: Edge, generation: number, port: number, targetNumber = 1000 + generation) {
  const targets = [{ id: uuid(targetNumber), address: '127.0.0.1', port }];
  return edge.proxy.table.flip({ entry: entryFor(port, { generation, targets }), expectedGeneration: generation - 1 });
}

const drain = (edge: Edge, targetNumber: number, deadlineSeconds: number) =>
  planeOf(edge.proxy).drain(DrainRequest.parse({ upstreamId: uuid(1), targetId: uuid(targetNumber), deadlineSeconds }));

function textOf(data: RawData): string {
  return (data as Buffer).toString('utf8');
}

test('a request claimed before a flip completes on its old target, and the next one goes to the new target', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t, answering(OK))];
  await route(edge, old.port);
  const client = await edge.send(GET);
  const wire = await old.wire(0);
  await wire.sees('\r\n\r\n');
  const answer = await flipTo(edge, 2, young.port);
  assert.deepEqual(answer.previous, {
    targetId: uuid(1001),
    inFlight: 1,
    streams: 0,
    requests: { served: 0, failed: 0 },
  });
  await (await edge.send(GET)).sees(/ok$/);
  const targets = viewOf(edge)?.targets.map(({ id, state, inFlight }) => ({ id, state, inFlight }));
  assert.deepEqual(targets, [
    { id: uuid(1002), state: 'healthy', inFlight: 0 },
    { id: uuid(1001), state: 'draining', inFlight: 1 },
  ]);
  wire.send(OK.replace('ok', 'od'));
  await client.sees(/od$/);
  // The client's own connection stays open: only the listener of a stopping proxy sends Connection: close.
  assert.doesNotMatch(client.received, /Connection: close/i);
  client.send(GET);
  await client.sees(/od.*ok$/s);
  await eventually('the old target to go', () => viewOf(edge)?.targets.length === 1);
});

test('a retired target keeps none of its idle connections, however many there are', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t, answering(OK))];
  await route(edge, old.port);
  const clients = await Promise.all(Array.from({ length: 40 }, () => edge.send(GET)));
  const wires = await Promise.all(clients.map((_, index) => old.wire(index)));
  await Promise.all(wires.map((wire) => wire.sees('\r\n\r\n')));
  for (const wire of wires) wire.send(OK);
  await Promise.all(clients.map((client) => client.sees(/ok$/)));
  assert.deepEqual(
    wires.filter(({ ended }) => ended !== null),
    [],
  );
  await flipTo(edge, 2, young.port);
  await Promise.all(wires.map((wire) => wire.end()));
});

test('a drain waits for requests in flight and returns its result; repeated it returns the same', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t)];
  await route(edge, old.port);
  const client = await edge.send(GET);
  const wire = await old.wire(0);
  await wire.sees('\r\n\r\n');
  await flipTo(edge, 2, young.port);
  let done = false;
  const drained = drain(edge, 1001, 30).finally(() => {
    done = true;
  });
  await pause(30);
  assert.equal(done, false);
  wire.send(OK);
  await client.sees(/ok$/);
  const { ms, ...rest } = await drained;
  assert.deepEqual(rest, { known: true, forced: 0, streams: NO_STREAMS, requests: { served: 1, failed: 0 } });
  assert.ok(ms > 0);
  const again = await drain(edge, 1001, 30);
  assert.deepEqual({ ...again, ms: 0 }, { ...rest, ms: 0 });
});

test('at the deadline of a drain a waiting client gets 503, a begun response is cut, and both are counted', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t)];
  await route(edge, old.port);
  const [waiting, reading] = [await edge.send(GET), await edge.send(GET)];
  const [first, second] = [await old.wire(0), await old.wire(1)];
  await first.sees('\r\n\r\n');
  await second.sees('\r\n\r\n');
  first.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
  await eventually('a part', () => waiting.received.includes('part') || reading.received.includes('part'));
  await flipTo(edge, 2, young.port);
  const answer = await drain(edge, 1001, 0.02);
  assert.deepEqual(
    { ...answer, ms: 0 },
    { known: true, ms: 0, forced: 2, streams: NO_STREAMS, requests: { served: 0, failed: 2 } },
  );
  const [begun, other] = waiting.received.includes('part') ? [waiting, reading] : [reading, waiting];
  await begun.end();
  await other.sees(/^HTTP\/1.1 503 .*ORK_APP_UNAVAILABLE/s);
  await first.end();
  await second.end();
  assert.equal(viewOf(edge)?.failed, 2);
});

testBoth('at the deadline of a drain WebSockets end with FIN, never with a reset', async (t) => {
  const edge = await startEdge(t);
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${textOf(data)}`)));
  const port = await listen(server);
  t.after(async () => {
    for (const socket of sockets.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  await route(edge, port);
  const faults: string[] = [];
  const clients = Array.from({ length: 20 }, () => {
    const socket = new WebSocket(`ws://127.0.0.1:${edge.port}/`, {
      headers: { host: 'app.test' },
      perMessageDeflate: false,
    });
    socket.on('error', (error) => faults.push(String(error)));
    return socket;
  });
  t.after(() => clients.forEach((client) => client.terminate()));
  await Promise.all(
    clients.map(async (client, index) => {
      await new Promise((resolve) => client.once('open', resolve));
      const echoed = new Promise((resolve) => client.once('message', (data) => resolve(textOf(data))));
      client.send(`${index}`);
      assert.equal(await echoed, `echo ${index}`);
    }),
  );
  const young = await scriptedUpstream(t);
  assert.equal((await flipTo(edge, 2, young.port)).previous?.inFlight, 20);
  const closed = clients.map((client) => new Promise((resolve) => client.once('close', resolve)));
  const answer = await drain(edge, 1001, 0.02);
  assert.deepEqual(
    { ...answer, ms: 0 },
    {
      known: true,
      ms: 0,
      forced: 0,
      streams: { carried: 20, ended: 0, closed: 20 },
      requests: { served: 20, failed: 0 },
    },
  );
  await Promise.all(closed);
  assert.deepEqual(faults, []);
  const { drain: drained, previous, flippedAt } = await edge.proxy.table.receipt(uuid(1));
  assert.deepEqual({ ...drained, ms: 0 }, { ms: 0, forced: 0, streams: { carried: 20, ended: 0, closed: 20 } });
  assert.ok((drained?.ms ?? 0) > 0);
  assert.ok(previous);
  const times = [previous.firstRequestAt, previous.lastRequestAt, flippedAt].map((time) => Date.parse(time ?? ''));
  assert.ok(times.every(Number.isFinite));
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test('several targets of one upstream drain at the same time, independently', async (t) => {
  const edge = await startEdge(t);
  const upstreams = [await scriptedUpstream(t), await scriptedUpstream(t), await scriptedUpstream(t)];
  const clients = [];
  for (const [index, upstream] of upstreams.entries()) {
    await flipTo(edge, index + 1, upstream.port);
    clients.push(await edge.send(GET));
    await (await upstream.wire(0)).sees('\r\n\r\n');
  }
  const [first, again, second] = [drain(edge, 1001, 30), drain(edge, 1001, 30), drain(edge, 1002, 30)];
  (await upstreams[1]?.wire(0))?.send(OK);
  assert.equal((await second).requests.served, 1);
  assert.equal(counts(edge).inFlight, 1);
  (await upstreams[0]?.wire(0))?.send(OK);
  for (const answer of [await first, await again]) assert.deepEqual(answer.requests, { served: 1, failed: 0 });
  assert.equal(viewOf(edge)?.targets.length, 1);
});

test('a drain of the active target is refused, and a drain of an unknown one is answered as unknown', async (t) => {
  const edge = await startEdge(t);
  await route(edge, 1);
  await assert.rejects(async () => drain(edge, 1001, 1), coded('ORK_CONFLICT'));
  const unknown = { known: false, ms: 0, forced: 0, streams: NO_STREAMS, requests: { served: 0, failed: 0 } };
  assert.deepEqual(await drain(edge, 4711, 1), unknown);
  assert.deepEqual(
    await planeOf(edge.proxy).drain(
      DrainRequest.parse({ upstreamId: uuid(99), targetId: uuid(1), deadlineSeconds: 1 }),
    ),
    unknown,
  );
});

test('a flip that cannot be saved is refused, and the old target keeps serving', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t, answering(OK)), await scriptedUpstream(t, answering(OK))];
  await route(edge, old.port);
  const state = join(edge.folder, 'state');
  await rename(state, `${state}.away`);
  await assert.rejects(flipTo(edge, 2, young.port), { code: 'ENOENT' });
  await (await edge.send(GET)).sees(/ok$/);
  assert.equal(young.wires.length, 0);
  await rename(`${state}.away`, state);
  assert.equal((await flipTo(edge, 2, young.port)).changed, true);
});

test('a repeated flip gets the same answer as the first; a stale one is refused', async (t) => {
  const edge = await startEdge(t);
  await route(edge, 1);
  const first = await flipTo(edge, 2, 2);
  assert.deepEqual(await flipTo(edge, 2, 2), { ...first, changed: false });
  await assert.rejects(flipTo(edge, 2, 3, 4711), coded('ORK_GENERATION_STALE'));
  await assert.rejects(flipTo(edge, 5, 3), coded('ORK_GENERATION_STALE'));
  const entry = entryFor(3, { generation: 2, targets: [{ id: uuid(7), address: '127.0.0.1', port: 3 }] });
  await assert.rejects(edge.proxy.table.flip({ entry, expectedGeneration: 2 }), coded('ORK_GENERATION_STALE'));
});

test('exactly one of many concurrent flips from one generation succeeds', async (t) => {
  const edge = await startEdge(t);
  await route(edge, 1);
  const flips = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => flipTo(edge, 2, 2, 2000 + n)));
  assert.equal(flips.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(viewOf(edge)?.generation, 2);
});

test('requests follow a target to another address without a drain', async (t) => {
  const edge = await startEdge(t);
  const [before, after] = [await scriptedUpstream(t, answering(OK)), await scriptedUpstream(t, answering(OK))];
  await route(edge, before.port);
  await (await edge.send(GET)).sees(/ok$/);
  const answer = await edge.proxy.table.flip({ entry: entryFor(after.port), expectedGeneration: 1 });
  assert.deepEqual({ changed: answer.changed, previous: answer.previous }, { changed: true, previous: null });
  await (await edge.send(GET)).sees(/ok$/);
  assert.equal(after.wires.length, 1);
  await assert.rejects(async () => drain(edge, 1001, 1), coded('ORK_CONFLICT'));
});

test('a route of another environment is refused, and free once that environment is removed', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  await route(edge, upstream.port);
  const other = { entry: entryFor(upstream.port, { id: uuid(2) }), expectedGeneration: 0 };
  await assert.rejects(edge.proxy.table.flip(other), coded('ORK_ROUTE_TAKEN'));
  assert.deepEqual(await edge.proxy.table.remove(uuid(1)), { removed: true, targetIds: [uuid(1001)] });
  assert.deepEqual(await edge.proxy.table.remove(uuid(1)), { removed: false, targetIds: [] });
  await (await edge.send(GET)).sees(/^HTTP\/1.1 404 /);
  assert.equal((await edge.proxy.table.flip(other)).changed, true);
  await (await edge.send(GET)).sees(/ok$/);
});

test('requests in flight to a removed upstream complete, and it can be drained', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(GET);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  await edge.proxy.table.remove(uuid(1));
  const drained = drain(edge, 1001, 30);
  await (await edge.send(GET)).sees(/^HTTP\/1.1 404 /);
  wire.send(OK);
  await client.sees(/ok$/);
  assert.deepEqual(
    { ...(await drained), ms: 0 },
    { known: true, ms: 0, forced: 0, streams: NO_STREAMS, requests: { served: 1, failed: 0 } },
  );
});

test('a closing proxy lets a begun response complete, then closes its connection, and cuts the rest at the deadline', async (t) => {
  const edge = await startEdge(t, { timeouts: { shutdownMs: 1500 } });
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(GET);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
  await client.sees(/ab$/);
  const other = await edge.send(GET);
  await (await upstream.wire(1)).sees('\r\n\r\n');
  const closed = edge.proxy.close();
  wire.send('cd');
  await client.sees(/abcd$/);
  assert.equal(await client.end(), 'fin');
  await other.sees(/^HTTP\/1.1 503 .*Connection: close/s);
  await closed;
});
