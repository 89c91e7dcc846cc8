/** Clients that disconnect at any moment: their own exchange ends, and nothing else. */
import assert from 'node:assert/strict';
import {
  counts,
  eventually,
  HANDSHAKE,
  HEAD,
  route,
  scriptedUpstream,
  startEdge,
  SWITCH,
  testBoth,
} from './harness.ts';

testBoth('a client that resets while its upgrade is pending ends only its own exchange', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const wire = await upstream.wire(0);
  await wire.sees('upgrade: websocket');
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
  const other = await edge.send(HANDSHAKE);
  (await upstream.wire(1)).send(SWITCH);
  await other.sees(/^HTTP\/1.1 101 /);
});

testBoth('a client that closes while its upgrade is pending frees the upstream connection', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const wire = await upstream.wire(0);
  client.socket.end();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
});

testBoth('a client that resets right after the upgrade ends its tunnel on both sides', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(HANDSHAKE);
  const wire = await upstream.wire(0);
  wire.send(SWITCH);
  await client.sees('101');
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
});

for (const [when, sent] of [
  ['before the response', ''],
  ['during the response', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
] as const) {
  testBoth(`a client that leaves ${when} frees the upstream connection, and nothing counts as failed`, async (t) => {
    const edge = await startEdge(t);
    const upstream = await scriptedUpstream(t, (wire) => wire.send(sent));
    await route(edge, upstream.port);
    const client = await edge.send(`GET / ${HEAD}\r\n`);
    const wire = await upstream.wire(0);
    await wire.sees('\r\n\r\n');
    if (sent) await client.sees('abc');
    client.socket.destroy();
    await wire.end();
    await eventually('the claim to end', () => counts(edge).inFlight === 0);
    assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 0, inFlight: 0 });
  });
}

testBoth('a client that leaves during its upload frees the upstream connection', async (t) => {
  const edge = await startEdge(t);
  const upstream = await scriptedUpstream(t);
  await route(edge, upstream.port);
  const client = await edge.send(`POST / ${HEAD}Content-Length: 100\r\n\r\nabc`);
  const wire = await upstream.wire(0);
  await wire.sees('abc');
  client.socket.resetAndDestroy();
  await wire.end();
  await eventually('the claim to end', () => counts(edge).inFlight === 0);
  assert.deepEqual(counts(edge), { failed: 0, served: 0, targetFailed: 0, inFlight: 0 });
});
