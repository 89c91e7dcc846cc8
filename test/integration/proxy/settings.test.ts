/** Edge settings, in force and changed under traffic. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, flip, flipBack, receiptOf } from './admin-calls.ts';
import { answering, entryFor, eventually, OK, scriptedUpstream, startEdge, testBoth, uuid, viewOf } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const OLD = OK.replace('ok', 'od');

test('requests above the concurrency limit of the edge settings get 503 until one completes', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t);
  await flip(edge, 1, app.port, { edge: { ...entryFor(1).edge, maxConcurrent: 1 } });
  const client = await edge.send(GET);
  const wire = await app.wire(0);
  await wire.sees('\r\n\r\n');
  await (await edge.send(GET)).sees(/^HTTP\/1.1 503 .*Retry-After/s);
  wire.send(OK);
  await client.sees(/ok$/);
  client.send(GET);
  await eventually(
    'the next request',
    () => app.wires.some(({ received }) => received.split('\r\n\r\n').length > 2) || app.wires.length > 1,
  );
});

testBoth(
  'new settings apply to the next request, even on open connections; the receipt and requests in flight stay',
  async (t) => {
    const edge = await startEdge(t);
    const old = await scriptedUpstream(t);
    const young = await scriptedUpstream(t, answering(OK));
    await flip(edge, 1, old.port);
    const slow = await edge.send(GET.replace('GET /', 'GET /slow'));
    await eventually('its arrival', () => old.wires.length === 1);
    await flip(edge, 2, young.port);
    const kept = await edge.send(GET);
    await kept.sees(/ok$/);
    const { flippedAt, previous } = await receiptOf(edge);
    const entry = entryFor(young.port);
    const set = (maintenance: boolean, expectedGeneration = 2) =>
      call(edge, 'POST', '/v1/edge', {
        upstreamId: uuid(1),
        expectedGeneration,
        routes: [...entry.routes, { host: 'new.test', pathPrefix: '/' }],
        edge: { ...entry.edge, maintenance, appProtocol: 'h2c' },
      });
    assert.deepEqual((await set(true)).body, { changed: true });
    assert.deepEqual((await set(true)).body, { changed: false });
    assert.equal((await set(true, 1)).body.code, 'ORK_GENERATION_STALE');
    kept.socket.write(GET);
    await kept.sees(/ok.*HTTP\/1.1 503 /s);
    await (await edge.send(GET.replace('app.test', 'new.test'))).sees(/^HTTP\/1.1 503 /);
    const receipt = await receiptOf(edge);
    assert.equal(receipt.flippedAt, flippedAt);
    assert.equal(receipt.previous?.inFlightAtFlip, previous?.inFlightAtFlip);
    assert.equal(viewOf(edge)?.targets.find(({ state }) => state === 'draining')?.inFlight, 1);
    await set(false);
    await (await edge.send(GET)).sees(/ok$/);
    old.wires[0]?.send(OLD);
    await slow.sees(/od$/);
    await set(true);
    assert.equal((await flipBack(edge, 2, 1001)).status, 200);
    await (await edge.send(GET)).sees(/^HTTP\/1.1 503 /);
    await edge.proxy.close();
    const again = await startEdge(t, { folder: edge.folder });
    await (await again.send(GET)).sees(/^HTTP\/1.1 503 /);
  },
);
