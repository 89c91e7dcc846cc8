import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { Job } from '../../protocol/job.ts';
import { makeKeyPair, signEdgeOrder, signJob } from '../../protocol/signing.ts';
import { until } from '../../test/harness/until.ts';
import { deployJob, IDS } from '../deployment/test-job.ts';
import { linkBench, RUNNING } from './test-link.ts';

test('the agent accepts a signed job for this host at each delivery', async (t) => {
  const { hub, accepted } = await linkBench(t);
  await hub.until(() => hub.messages.length > 0);
  const job = deployJob();
  for (let index = 0; index < 5; index++) {
    hub.send({ type: 'job', envelope: signJob(job, hub.keys.privateKey), leaseSeconds: 60 });
  }
  await until(() => accepted.length >= 5);
  assert.equal(accepted[0]?.deploymentId, job.deploymentId);
});

test('a job with a bad signature or for another host is refused, and the link stays up', async (t) => {
  const { hub, accepted, refused, cancelled } = await linkBench(t);
  await hub.until(() => hub.messages.length > 0);
  const forged = signJob(deployJob(), makeKeyPair().privateKey);
  const changed = signJob(deployJob(), hub.keys.privateKey);
  const foreign = signJob(deployJob({ hostId: IDS.project }), hub.keys.privateKey);
  hub.send({ type: 'job', envelope: forged, leaseSeconds: 60 });
  hub.send({
    type: 'job',
    envelope: { ...changed, payload: changed.payload.replace('main', 'evil') },
    leaseSeconds: 60,
  });
  hub.send({ type: 'job', envelope: foreign, leaseSeconds: 60 });
  hub.send({ type: 'cancel', deploymentId: RUNNING });
  await until(() => cancelled.length > 0);
  assert.deepEqual([accepted, refused], [[], []]);
  assert.equal(hub.connections(), 1);
});

test('a signed job that this version cannot read is reported as refused', async (t) => {
  const { hub, refused } = await linkBench(t);
  await hub.until(() => hub.messages.length > 0);
  const job = { ...deployJob(), version: 99 } as unknown as Job;
  hub.send({ type: 'job', envelope: signJob(job, hub.keys.privateKey), leaseSeconds: 60 });
  await until(() => refused.length > 0);
  assert.equal(refused[0]?.deploymentId, job.deploymentId);
  assert.equal(refused[0]?.error.code, 'ORK_JOB_REFUSED');
});

test('leases of running deployments are renewed long before they expire', async (t) => {
  const { hub } = await linkBench(t, {}, { pingMs: 20, deadMs: 10_000 });
  await hub.until(() => hub.messages.length > 0);
  const job = deployJob();
  hub.send({ type: 'job', envelope: signJob(job, hub.keys.privateKey), leaseSeconds: 1 });
  await hub.until(() => hub.messages.some((one) => one.type === 'renew' && one.deploymentIds[0] === RUNNING));
});

test('edge settings are accepted if the hub signed them for this host; unreadable ones are reported as refused', async (t) => {
  const { hub, orders } = await linkBench(t);
  await hub.until(() => hub.messages.length > 1);
  const order: EdgeOrder = {
    version: 1,
    kind: 'edge',
    hostId: IDS.host,
    issuedAt: new Date(0).toISOString(),
    environmentId: IDS.environment,
    revision: 1,
    routes: [],
    edge: EdgeSettings.parse({ maintenance: true }),
  };
  const send = (one: object, key = hub.keys.privateKey): void =>
    hub.send({ type: 'edge', envelope: signEdgeOrder(one as EdgeOrder, key) });
  send({ ...order, revision: 2 }, makeKeyPair().privateKey);
  send({ ...order, hostId: RUNNING, revision: 3 });
  send({ ...order, revision: 4, edge: { https: 'as of tomorrow' } });
  send(order);
  await hub.until(() => hub.messages.some(({ type }) => type === 'edge-state'));
  await until(() => orders.length > 0);
  assert.deepEqual(orders, [order]);
  const told = hub.messages.flatMap((message) => (message.type === 'edge-state' ? [message] : []));
  assert.deepEqual(
    told.map(({ revision, error }) => [revision, error?.code]),
    [[4, 'ORK_JOB_REFUSED']],
  );
});
