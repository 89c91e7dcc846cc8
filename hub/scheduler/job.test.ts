import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { hub } from '../test-hub.ts';
import { AT } from '../test-release.ts';
import { putRegistry } from '../store/registries.ts';
import { changeVariables } from '../store/variables.ts';
import { create, find } from './test-scheduler.ts';

test('a deployment whose job cannot be created fails with the reason, and the next one runs', async (t) => {
  const on = await hub(t);
  const bad = await create(on);
  const good = await create(on);
  await on.deps.db.updateTable('deployment').set({ kind: 'rollback' }).where('id', '=', bad).execute();
  const agent = await on.connect();
  assert.equal((await agent.job()).deploymentId, good);
  assert.match((await find(on, bad)).error ?? '', /ORK_CONFLICT/);
});

test('a rollback has its release, and either the current variables or those of the release', async (t) => {
  const on = await hub(t);
  const set = (value: string) =>
    on.deps.db
      .transaction()
      .execute((trx) => changeVariables(trx, on.deps.sealer, on.environmentId, 'app', { KEY: value }, AT));
  await set('then');
  const agent = await on.connect();
  const id = await create(on);
  await agent.live(await agent.job());
  await set('today');
  for (const [variables, value] of [
    ['current', 'today'],
    ['release', 'then'],
  ] as const) {
    const answer = await on.api('POST', `/deployments/${id}/rollback`, { variables });
    assert.equal(answer.status, 201);
    assert.partialDeepStrictEqual(await answer.json(), { variables });
    const job = await agent.job();
    assert.ok(job.kind === 'rollback');
    assert.equal(job.release.deploymentId, id);
    assert.deepEqual(job.env, { KEY: value });
    await agent.live(job);
  }
});

test('a resent job keeps the build secrets of its first sending, but has the current registry logins', async (t) => {
  const on = await hub(t);
  const { db, sealer } = on.deps;
  const { project_id: projectId } = await db.selectFrom('environment').select('project_id').executeTakeFirstOrThrow();
  const set = async (value: string): Promise<void> => {
    const change = { NPM_TOKEN: value };
    await db.transaction().execute((trx) => changeVariables(trx, sealer, on.environmentId, 'build', change, AT));
    await putRegistry(db, sealer, projectId, { host: 'ghcr.io', username: 'ada', password: value }, AT);
  };
  await set('old');
  const first = await on.connect();
  await create(on);
  await first.job();
  await first.leave();
  await set('new');
  const job = await (await on.connect()).job();
  assert.ok(job.kind === 'deploy');
  assert.deepEqual([job.env, job.buildSecrets], [{}, { NPM_TOKEN: 'old' }]);
  assert.deepEqual(job.registries, [{ host: 'ghcr.io', username: 'ada', password: 'new' }]);
});

test('a rollback is refused by the plan, for a deployment that was never live, and for an unknown one', async (t) => {
  const on = await hub(t, { plan: 'free' });
  const id = await create(on);
  const answer = await on.api('POST', `/deployments/${id}/rollback`);
  assert.equal(answer.status, 403);
  const problem = (await answer.json()) as { code: string; detail: string };
  assert.equal(problem.code, 'ORK_PLAN_LIMIT');
  assert.match(problem.detail, /Free/);
  // Any plan may redeploy the live deployment, but this one has no release.
  await on.deps.db.updateTable('deployment').set({ status: 'live' }).execute();
  assert.equal((await on.api('POST', `/deployments/${id}/rollback`)).status, 409);
  await on.deps.db.updateTable('deployment').set({ status: 'queued' }).execute();
  await on.deps.db.updateTable('team').set({ plan: 'pro' }).execute();
  assert.equal((await on.api('POST', `/deployments/${id}/rollback`)).status, 409);
  assert.equal((await on.api('POST', `/deployments/${randomUUIDv7()}/rollback`)).status, 404);
});
