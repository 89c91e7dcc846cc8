/** Calls of the admin API other than flips: metrics, certificates, and unknown calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { CertificateList } from '../../../protocol/proxy-admin.ts';
import { call, flip } from './admin-calls.ts';
import { answering, OK, scriptedUpstream, startEdge, temporaryFolder, uuid } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';

test('a host with https off needs no certificate', async (t) => {
  const edge = await startEdge(t, { certificates: await temporaryFolder(t) });
  const missing = async (): Promise<unknown> => {
    const { body } = await call(edge, 'GET', '/v1/certificates');
    return CertificateList.parse(body).missing.map(({ host }) => host);
  };
  await flip(edge, 1, 1);
  assert.deepEqual(await missing(), ['app.test']);
  await flip(edge, 2, 1, { edge: EdgeSettings.parse({ https: 'off' }) });
  assert.deepEqual(await missing(), []);
});

test('the admin API serves metrics and certificates, and refuses unknown calls', async (t) => {
  const edge = await startEdge(t);
  const app = await scriptedUpstream(t, answering(OK));
  await flip(edge, 1, app.port);
  await (await edge.send(GET)).sees(/ok$/);
  const metrics = await call(edge, 'GET', '/v1/metrics');
  assert.match(metrics.text, new RegExp(`orkestr_proxy_requests_total\\{upstream="${uuid(1)}",status="2xx"\\} 1`));
  assert.deepEqual((await call(edge, 'GET', '/v1/certificates')).body, { certificates: [], missing: [] });
  assert.equal((await call(edge, 'POST', '/v1/certificates/retry', { host: 'app.test' })).status, 404);
  assert.equal((await call(edge, 'POST', '/v1/certificates/retry', { host: '*.app.test' })).status, 400);
  for (const path of ['/v1/upstreams/x/receipt', `/v1/upstreams/${uuid(1)}/other`, '/v1/__proto__', '/constructor']) {
    assert.ok([400, 404].includes((await call(edge, 'GET', path)).status), path);
  }
  assert.equal((await call(edge, 'GET', `/v1/upstreams/${uuid(9)}/receipt`)).status, 404);
});
