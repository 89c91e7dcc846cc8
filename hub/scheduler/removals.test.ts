import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/harness/until.ts';
import { hub } from '../test-hub.ts';
import { COMMIT } from '../test-release.ts';
import { create } from './test-scheduler.ts';

test('an environment is removed from its host, however long the host is offline', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await create(on);
  const job = await agent.job();
  await agent.live(job);
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  for (const attempt of ['first', 'again, since nothing was heard']) {
    const back = await on.connect();
    const removal = await back.job();
    assert.equal(removal.kind, 'remove', attempt);
    assert.ok(removal.generation > job.generation);
    assert.equal(removal.environment.id, on.environmentId);
    if (attempt === 'first') await back.end(removal, 'failed');
    else await back.end(removal, 'superseded');
    await back.leave();
  }
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
});

test('a failed removal is retried after a pause while the host stays connected', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await create(on);
  await agent.live(await agent.job());
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  const removal = await agent.job();
  await agent.end(removal, 'failed');
  // As if the clock had been ahead: times recorded by it count from now.
  on.setClock(-3_600_000);
  await on.deps.scheduler.sweep();
  on.pass(10 * 60_000);
  await on.deps.scheduler.sweep();
  await agent.end(await agent.job(), 'superseded');
  on.pass(10 * 60_000);
  await on.deps.scheduler.sweep();
  assert.deepEqual(
    agent.jobs.map(({ kind }) => kind),
    ['deploy', 'remove', 'remove'],
  );
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
});

test('a deployment created while its environment or project is deleted is refused and never sent', async (t) => {
  for (const which of ['removeEnvironment', 'removeProject'] as const) {
    const on = await hub(t);
    const agent = await on.connect();
    await create(on);
    await agent.live(await agent.job());
    const removed = on.deps.scheduler[which](which === 'removeProject' ? on.projectId : on.environmentId);
    const late = create(on);
    await assert.rejects(late, { code: 'ORK_NOT_FOUND' });
    await removed;
    assert.equal((await agent.job()).kind, 'remove');
    assert.equal(agent.jobs.length, 2);
    assert.equal((await on.api('GET', '/projects/shop/environments/production')).status, 404);
  }
});

test('a project is removed from the hosts of all its environments', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const staging = await on.addEnvironment('staging', 'main');
  for (const environmentId of [on.environmentId, staging]) {
    const { userId } = on.account;
    await on.deps.scheduler.create({ environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId });
    await agent.live(await agent.job());
  }
  assert.equal((await on.api('DELETE', '/projects/shop')).status, 204);
  const removals = [await agent.job(), await agent.job()];
  assert.deepEqual(
    removals.map(({ kind, environment }) => `${kind} ${environment.id}`).toSorted(), // same millisecond, so unordered
    [on.environmentId, staging].map((id) => `remove ${id}`).toSorted(),
  );
});

test('an environment that was never sent to a host leaves no removal', async (t) => {
  const on = await hub(t);
  await create(on);
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
});
