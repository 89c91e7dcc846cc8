import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { until } from '../../test/harness/until.ts';
import { GRACE_SECONDS, LEASE_SECONDS } from '../scheduler/lease.ts';
import { AT, COMMIT } from '../test-release.ts';
import { add, COLLECTED, deploy, fail, leave, list, MINUTE, start, toldBy } from './test-notices.ts';
import { startReceiver } from './test-receiver.ts';

test('the notice of a failed deployment has project, step, error, remedy and link, but not the evidence', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  const job = await deploy(on, agent);
  await fail(agent, job, {
    message: 'It \u001b[31mended\u001b[0m\nbadly.',
    evidence: ['DATABASE_URL=postgres://secret'],
  });
  await later(0);
  assert.equal(receiver.got.length, 0, 'what comes right after is told with it');
  await later(COLLECTED);
  const [message, ...others] = messages();
  assert.deepEqual(others, []);
  assert.deepEqual(message?.notices, [
    {
      kind: 'deployment.failed',
      at: AT,
      summary: 'shop/production: the deployment failed at build',
      project: { id: on.projectId, slug: 'shop' },
      environment: { id: on.environmentId, slug: 'production' },
      deployment: { id: job.deploymentId, commit: COMMIT, branch: 'main', trigger: 'push', step: 'build' },
      host: null,
      error: {
        code: 'ORK_BUILD_FAILED',
        message: 'It ended badly.',
        mend: 'A build command failed. See its output at the end of the build log.',
        retry: false,
      },
      url: `${on.url}/deployments/${job.deploymentId}`,
    },
  ]);
  assert.equal(receiver.got[0]?.headers['webhook-id'], message?.id);
  await later(MINUTE);
  assert.equal(receiver.got.length, 1, 'it is sent once');
});

test('a recovery is reported, every live deployment only on request, and a revert also to receivers of failures', async (t) => {
  const { on, receiver, kinds, later } = await start(t);
  const all = await startReceiver(t);
  const failures = await startReceiver(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  await add(on, '/receivers', { kind: 'webhook', address: all.url, notices: ['deployment.live'] });
  await add(on, '/receivers', {
    name: 'fails',
    kind: 'webhook',
    address: failures.url,
    notices: ['deployment.failed'],
  });
  const agent = await on.connect();
  await agent.live(await deploy(on, agent));
  await fail(agent, await deploy(on, agent), { code: 'ORK_APP_REGRESSED' });
  await agent.end(await deploy(on, agent), 'cancelled');
  await agent.live(await deploy(on, agent));
  await agent.live(await deploy(on, agent));
  await later(COLLECTED);
  assert.deepEqual(kinds(), ['deployment.reverted', 'deployment.recovered']);
  assert.deepEqual(toldBy(on, all).kinds(), ['deployment.live', 'deployment.recovered', 'deployment.live']);
  assert.deepEqual(toldBy(on, failures).kinds(), ['deployment.reverted']);
});

test('a deployment that fails because its host is lost is reported, and also that it is live after all', async (t) => {
  const { on, receiver, kinds, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  const job = await deploy(on, agent);
  await leave(on, agent);
  on.pass((LEASE_SECONDS + GRACE_SECONDS + 1) * 1000);
  await on.deps.scheduler.sweep();
  await later(COLLECTED);
  const back = await on.connect({ running: [job.deploymentId] });
  await back.live(job);
  await later(2 * MINUTE);
  assert.deepEqual(kinds(), ['deployment.failed', 'deployment.recovered']);
});

test('a receiver of another project gets no notices of this one', async (t) => {
  const { on, receiver, later } = await start(t);
  assert.equal((await on.api('POST', '/projects', { slug: 'other', environment: { slug: 'production' } })).status, 201);
  await add(on, '/projects/other/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  await later(COLLECTED);
  assert.equal(receiver.got.length, 0);
});

test('a reverted host upgrade is reported to a receiver of a project on the host', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  const { teamId } = on.account;
  await on.deps.upgrades.create({ teamId, version: '2.0.0', hostIds: [on.hostId], atOnce: 1 });
  const { upgradeId } = await agent.next('upgrade');
  const error = { code: 'ORK_UPGRADE_UNHEALTHY' as ErrorCode, message: 'It did not come up.', evidence: [] };
  agent.say({ type: 'upgrade-state', upgradeId, version: '2.0.0', state: 'reverted', error });
  await until(async () => (await list(on))[0]?.deliveries.length === 1);
  await later(COLLECTED);
  const [notice] = messages()[0]?.notices ?? [];
  assert.equal(notice?.kind, 'upgrade.failed');
  assert.equal(notice?.summary, 'vps-1: the upgrade to 2.0.0 was reverted, the previous version is running again');
  assert.equal(notice?.error?.code, 'ORK_UPGRADE_UNHEALTHY');
});
