import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ExpressionBuilder } from 'kysely';
import { openDatabase } from './database.ts';
import { listDeployments, listOpen } from './deployments.ts';
import { liveDeployments } from './environments.ts';
import { forgetSome } from './history.ts';
import type { Database } from './schema.ts';
import { watchPlans, type WatchedDb } from './test-plans.ts';

async function watched(t: TestContext): Promise<WatchedDb> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-plans-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const db = await openDatabase(join(folder, 'hub.sqlite'));
  t.after(() => db.destroy());
  return watchPlans(db);
}

test('statements that slow down over time are found: table scans, scans of a history, sorted pages', async (t) => {
  const { db, slow } = await watched(t);
  await db.selectFrom('host').selectAll().execute();
  await db.selectFrom('deployment').selectAll().where('environment_id', '=', 'e').limit(1).execute();
  assert.deepEqual(await slow(), []);
  await db.selectFrom('event').select('id').execute();
  await db.selectFrom('step').select('name').where('deployment_id', '=', 'd').orderBy('ms').limit(1).execute();
  await db.selectFrom('deployment').select('id').where('environment_id', '=', 'e').orderBy('generation').execute();
  await db.selectFrom('release').select('created_at').where('environment_id', '=', 'e').execute();
  assert.deepEqual(
    (await slow()).map((told) => told.split('"')[3]),
    ['event', 'step', 'deployment', 'release'],
  );
});

test('the limit of a subquery does not bound the rows it scans, nor does the limit of the outer statement', async (t) => {
  const { db, slow } = await watched(t);
  const built = (eb: ExpressionBuilder<Database, keyof Database>, column: 'host_id' | 'build_host_id') =>
    eb
      .selectFrom('deployment as d')
      .select('d.id')
      .where('d.environment_id', '=', 'e')
      .whereRef(`d.${column}`, '=', 'host.id')
      .limit(1);
  const hosts = db.selectFrom('host').select('id');
  await hosts.where((row) => row.exists(built(row, 'build_host_id'))).execute();
  assert.deepEqual(await slow(), []);
  await hosts.where((row) => row.exists(built(row, 'host_id'))).execute();
  await hosts
    .where((row) => row.exists(built(row, 'host_id')))
    .limit(9)
    .execute();
  assert.equal((await slow()).length, 2);
});

test('the queries of an environment read a limited number of its deployments', async (t) => {
  const { db, slow, plans } = await watched(t);
  await listOpen(db, 'e');
  await liveDeployments(db, ['e']);
  await listDeployments(db, 'e', { limit: 20, before: 'd' });
  await listDeployments(db, 'e', { limit: 20 });
  assert.deepEqual(await slow(), []);
  assert.equal((await plans()).size, 4);
});

test('pruned deployments are not searched again', async (t) => {
  const { db, plans } = await watched(t);
  const team = { id: 't', slug: 't', name: 'T', plan: 'pro', created_at: '' };
  await db.insertInto('team').values(team).execute();
  await db.insertInto('host').values({ id: 'h', team_id: 't', name: 'h', acknowledged: 0, created_at: '' }).execute();
  const project = { id: 'p', team_id: 't', slug: 'p', origin: 'hub' as const, created_at: '' };
  await db.insertInto('project').values(project).execute();
  const place = { project_id: 'p', host_id: 'h', branch: 'main', settings: '{}', created_at: '' };
  const environment = { ...place, id: 'e', slug: 'e', generation: 0, env_version: 0 };
  await db.insertInto('environment').values(environment).execute();
  const row = {
    environment_id: 'e',
    kind: 'deploy',
    trigger: 'push',
    status: 'failed',
    commit: '',
    branch: '',
  } as const;
  const ended = {
    ...row,
    env_version: 0,
    variables: 'current',
    cancel_requested: 0,
    created_at: '',
    finished_at: '',
  } as const;
  const rows = [1, 2, 3, 4, 5, 6, 7].map((generation) => ({
    ...ended,
    id: `${generation}`,
    generation,
  }));
  await db.insertInto('deployment').values(rows).execute();
  let rounds = 0;
  while (await forgetSome(db, 'e', 1)) rounds += 1;
  assert.equal(rounds, 6);
  const steps = [...(await plans()).values()].flat();
  assert.ok(steps.some((step) => step.includes('deployment_with_details (environment_id=? AND generation<?)')));
});
