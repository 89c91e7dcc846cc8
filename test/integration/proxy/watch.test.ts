/** A new target that is watched, and the flip back from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, flip, flipBack, receiptOf } from './admin-calls.ts';
import { answering, entryFor, OK, planeOf, scriptedUpstream, startEdge, testBoth, uuid, viewOf } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const BAD = 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad';
const OLD = OK.replace('ok', 'od');

testBoth('a watch reports a new target with errors at once, and one call flips back to the old one', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(BAD))];
  await flip(edge, 1, old.port);
  await (await edge.send(GET)).sees(/od$/);
  await flip(edge, 2, young.port);
  const watch = call(edge, 'POST', '/v1/watch', {
    upstreamId: uuid(1),
    targetId: uuid(1002),
    seconds: 600,
    minRequests: 5,
  });
  for (let sent = 0; sent < 5; sent += 1) await (await edge.send(GET)).sees(/bad$/);
  assert.deepEqual((await watch).body, {
    verdict: 'errors',
    reason: '5 of its 5 answers (100.0 %) were errors, 0.0 % of those of the target before it.',
  });
  const back = await flipBack(edge, 2, 1001);
  assert.deepEqual([back.status, back.body.generation, back.body.changed], [200, 2, true]);
  await (await edge.send(GET)).sees(/od$/);
  assert.deepEqual((await flipBack(edge, 2, 1001)).body, { ...back.body, changed: false });
  assert.equal((await flipBack(edge, 2, 1002)).body.code, 'ORK_CONFLICT');
  assert.equal((await flipBack(edge, 1, 1001)).body.code, 'ORK_GENERATION_STALE');
  const stale = {
    entry: entryFor(young.port, {
      generation: 2,
      targets: [{ id: uuid(1002), address: '127.0.0.1', port: young.port }],
    }),
    expectedGeneration: 1,
  };
  assert.equal((await call(edge, 'POST', '/v1/flip', stale)).body.code, 'ORK_GENERATION_STALE');
  const receipt = await receiptOf(edge);
  assert.deepEqual(
    [receipt.previous?.targetId, receipt.previous?.errors, receipt.current.targetId],
    [uuid(1002), 5, uuid(1001)],
  );
  await edge.proxy.close();
  const again = await startEdge(t, { folder: edge.folder });
  await (await again.send(GET)).sees(/od$/);
  assert.equal(viewOf(again)?.generation, 2);
  assert.equal((await flipBack(again, 2, 1002)).body.code, 'ORK_CONFLICT', 'what was before a restart is not known');
});

testBoth('a watch reports a new target that dies at once, and a good one at the end of the window', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
  await flip(edge, 1, old.port);
  await flip(edge, 2, young.port);
  const window = { upstreamId: uuid(1), targetId: uuid(1002), seconds: 600 };
  const good = call(edge, 'POST', '/v1/watch', { ...window, seconds: 0.2 });
  await (await edge.send(GET)).sees(/ok$/);
  assert.equal((await good).body.verdict, 'good');
  const watch = call(edge, 'POST', '/v1/watch', window);
  await young.close();
  for (let sent = 0; sent < 4; sent += 1) await (await edge.send(GET)).sees(/^HTTP\/1.1 502 /);
  assert.equal((await watch).body.verdict, 'refuses');
  const other = call(edge, 'POST', '/v1/watch', { ...window, refusals: 1000 });
  assert.equal((await call(edge, 'POST', '/v1/watch', { ...window, targetId: uuid(1001) })).body.verdict, 'replaced');
  await flip(edge, 3, old.port);
  assert.equal((await other).body.verdict, 'replaced');
});

test('a watch or drain is given up when its caller disconnects', async (t) => {
  const edge = await startEdge(t);
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t)];
  await flip(edge, 1, old.port);
  const client = await edge.send(GET);
  const wire = await old.wire(0);
  await wire.sees('\r\n\r\n');
  await flip(edge, 2, young.port);
  const leave = new AbortController();
  const calls = [
    call(edge, 'POST', '/v1/watch', { upstreamId: uuid(1), targetId: uuid(1002), seconds: 600 }, leave.signal),
    call(edge, 'POST', '/v1/drain', { upstreamId: uuid(1), targetId: uuid(1001), deadlineSeconds: 1 }, leave.signal),
  ];
  const left = Promise.allSettled(calls);
  await new Promise((resolve) => setTimeout(resolve, 50));
  leave.abort();
  await left;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal(
    planeOf(edge.proxy)
      .counts(uuid(1))[0]
      ?.targets.find(({ role }) => role === 'retired')?.inFlight,
    1,
  );
  wire.send(OLD);
  await client.sees(/od$/);
});
