/** Visitors who wait while an upstream is held. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, flip, receiptOf } from './admin-calls.ts';
import { answering, eventually, OK, scriptedUpstream, startEdge, testBoth, uuid, viewOf } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const OLD = OK.replace('ok', 'od');

testBoth('held requests wait unanswered, continue in order at the flip, and are in its receipt', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
  await flip(edge, 1, old.port);
  assert.deepEqual((await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1) })).body, { held: 0, changed: true });
  const clients = [];
  for (let index = 0; index < 5; index += 1) {
    clients.push(await edge.send(GET.replace('GET /', `GET /${index}`)));
    await eventually('its wait', () => viewOf(edge)?.held === index + 1);
  }
  const post = await edge.send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody');
  await eventually('its wait', () => viewOf(edge)?.held === 6);
  await old.close();
  assert.equal((await flip(edge, 2, young.port)).changed, true);
  for (const client of [...clients, post]) await client.sees(/^HTTP\/1.1 200 .*ok$/s);
  const heads = young.wires.map((wire) => wire.received).join('');
  const order = [...heads.matchAll(/GET \/(\d)/g)].map(([, digit]) => digit);
  assert.deepEqual(order, ['0', '1', '2', '3', '4']);
  assert.match(heads, /POST \/ .*body/s);
  const { held, failed } = await receiptOf(edge);
  assert.equal(failed, 0);
  assert.deepEqual({ requests: held?.requests, refused: held?.refused }, { requests: 6, refused: 0 });
  assert.ok(held && held.p50Ms > 0 && held.maxMs >= held.p50Ms);
});

testBoth(
  'requests above the limits of a hold get 503, a client that leaves frees its place, and resume releases the rest',
  async (t) => {
    const edge = await startEdge(t);
    const app = await scriptedUpstream(t, answering(OK));
    await flip(edge, 1, app.port);
    await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1), maxRequests: 1, maxSeconds: 30 });
    const first = await edge.send(GET);
    await eventually('its wait', () => viewOf(edge)?.held === 1);
    await (await edge.send(GET)).sees(/^HTTP\/1.1 503 .*Retry-After: \d+.*ORK_APP_UNAVAILABLE/s);
    first.socket.destroy();
    await eventually('its leaving', () => viewOf(edge)?.held === 0);
    const second = await edge.send(GET);
    await eventually('its wait', () => viewOf(edge)?.held === 1);
    assert.equal(app.wires.length, 0);
    assert.deepEqual((await call(edge, 'POST', '/v1/resume', { upstreamId: uuid(1) })).body, {
      held: 1,
      changed: true,
    });
    await second.sees(/ok$/);
    await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1), maxSeconds: 0.1 });
    await (await edge.send(GET)).sees(/^HTTP\/1.1 503 .*Retry-After/s);
    assert.equal((await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(9) })).body.code, 'ORK_NOT_FOUND');
  },
);

test('the body of a held request is not read any further, however long it is', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t);
  await flip(edge, 1, app.port);
  await call(edge, 'POST', '/v1/hold', { upstreamId: uuid(1) });
  const size = 64 * 1024 * 1024;
  const client = await edge.send(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${size}\r\n\r\n`);
  client.socket.write(Buffer.alloc(size));
  await eventually('its wait', () => viewOf(edge)?.held === 1);
  await eventually('a full pipe', () => client.socket.writableNeedDrain);
  const sent = client.socket.bytesWritten - client.socket.writableLength;
  assert.ok(sent < size / 4, `${sent} bytes went out`);
  client.socket.destroy();
});
