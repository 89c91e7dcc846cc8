/** A share of the visitors on another target. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TableView } from '../../../protocol/proxy-admin.ts';
import { call, flip } from './admin-calls.ts';
import { answering, OK, scriptedUpstream, startEdge, testBoth, uuid, viewOf } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const OLD = OK.replace('ok', 'od');

testBoth(
  'a canary by cookie and by weight takes its share, is shown, survives a restart, and can be ended',
  async (t) => {
    const edge = await startEdge(t);
    const [stable, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
    await flip(edge, 1, stable.port);
    const targets = [{ id: uuid(2000), address: '127.0.0.1', port: young.port }];
    const set = (canary: object | null, expectedGeneration = 1) =>
      call(edge, 'POST', '/v1/canary', { upstreamId: uuid(1), expectedGeneration, canary });
    const preview = { targets, weightPercent: 0, cookie: 'preview=yes' };
    assert.equal((await set(preview)).body.changed, true);
    assert.equal((await set(preview)).body.changed, false);
    assert.equal((await set(preview, 2)).body.code, 'ORK_GENERATION_STALE');
    await (await edge.send(GET)).sees(/od$/);
    await (await edge.send(GET.replace('\r\n\r\n', '\r\nCookie: a=b; preview=yes\r\n\r\n'))).sees(/ok$/);
    const view = TableView.parse((await call(edge, 'GET', '/v1/table')).body).upstreams[0];
    assert.deepEqual(view?.canary, { targetId: uuid(2000), weightPercent: 0, cookie: 'preview=yes' });
    assert.deepEqual(
      view?.targets.map(({ id, state, requests }) => [id, state, requests.served]),
      [
        [uuid(1001), 'healthy', 1],
        [uuid(2000), 'healthy', 1],
      ],
    );
    await set({ targets, weightPercent: 100 });
    await (await edge.send(GET)).sees(/ok$/);
    await edge.proxy.close();
    const again = await startEdge(t, { folder: edge.folder });
    await (await again.send(GET)).sees(/ok$/);
    assert.equal(
      (await call(again, 'POST', '/v1/canary', { upstreamId: uuid(1), expectedGeneration: 1, canary: null })).status,
      200,
    );
    await (await again.send(GET)).sees(/od$/);
    assert.equal(viewOf(again)?.canary, null);
  },
);

test('a flip without a canary ends the current one', async (t) => {
  const edge = await startEdge(t);
  const [stable, young] = [await scriptedUpstream(t, answering(OLD)), await scriptedUpstream(t, answering(OK))];
  const targets = [{ id: uuid(2000), address: '127.0.0.1', port: young.port }];
  await flip(edge, 1, stable.port, { canary: { targets, weightPercent: 100 } });
  await (await edge.send(GET)).sees(/ok$/);
  await flip(edge, 2, stable.port);
  await (await edge.send(GET)).sees(/od$/);
});
