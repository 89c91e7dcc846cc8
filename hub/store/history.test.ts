import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { sql } from 'kysely';
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import { startTestHub } from '../test-hub.ts';
import { AT, COMMIT, exampleRelease } from '../test-release.ts';
import { PLANS } from '../plans.ts';
import type { Db } from './database.ts';
import { insertDeployment } from './deployments.ts';
import { listEvents } from './events.ts';
import { deleteHistory, forgetSome } from './history.ts';
import { addLogChunk, readLog } from './logs.ts';
import { insertRelease } from './releases.ts';
import type { Row } from './schema.ts';
import { listSteps, putStep } from './steps.ts';

/** Deployments of one environment with details, one per name, oldest first. */
async function toldBy(t: TestContext, statuses: Readonly<Record<string, DeploymentStatus>>) {
  const hub = await startTestHub();
  t.after(() => hub.stop());
  const { db } = hub.deps;
  const ids: Record<string, string> = {};
  const { environmentId, account } = hub;
  const request = { environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: account.userId } as const;
  for (const [name, status] of Object.entries(statuses)) {
    const id = (ids[name] = randomUUIDv7());
    await insertDeployment(db, id, request, AT);
    await addLogChunk(db, id, { step: 'clone', offset: 0, bytes: Buffer.from(name) });
    const output = { commit: COMMIT, subject: '', author: '', files: 1, bytes: 1 };
    await putStep(db, id, { name: 'clone', status: 'done', startedAt: AT, ms: 1, note: null, output, error: null });
    await db.updateTable('deployment').set({ status, env: 'sealed' }).where('id', '=', id).execute();
  }
  const told = async (name: string) => {
    const id = ids[name] ?? '';
    const { env, details_kept } = await db
      .selectFrom('deployment')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    const [step] = await listSteps(db, id);
    return {
      log: Buffer.concat(await Array.fromAsync(readLog(db, id, 'clone'))).toString(),
      events: (await listEvents(db, id, 0, 9)).map(({ kind }) => kind),
      step: step?.status,
      output: step?.output !== null,
      env,
      details_kept,
    };
  };
  return { hub, db, ids, told };
}

const WHOLE = { events: ['status', 'log', 'step'], step: 'done', output: true, env: 'sealed', details_kept: 1 };
const FORGOTTEN = { log: '', events: [], step: 'done', output: false, env: null, details_kept: 0 };

async function forgetAll(db: Db, environmentId: string, kept: number): Promise<number> {
  let rounds = 0;
  while (await forgetSome(db, environmentId, kept)) rounds += 1;
  return rounds;
}

test('old deployments keep only their result; live, running and rollback-target deployments keep all details', async (t) => {
  const { hub, db, ids, told } = await toldBy(t, {
    running: 'running',
    live: 'live',
    wanted: 'superseded',
    old: 'failed',
    older: 'superseded',
    waiting: 'queued',
    newest: 'failed',
  });
  await db
    .updateTable('deployment')
    .set({ release_of: ids.wanted ?? '', variables: 'release' })
    .where('id', '=', ids.waiting ?? '')
    .execute();
  assert.equal(await forgetAll(db, hub.environmentId, 2), 2);
  for (const name of ['running', 'live', 'wanted', 'waiting', 'newest']) {
    assert.deepEqual(await told(name), { ...WHOLE, log: name }, name);
  }
  for (const name of ['old', 'older']) assert.deepEqual(await told(name), FORGOTTEN, name);
  await db
    .updateTable('deployment')
    .set({ status: 'failed' })
    .where('id', '=', ids.waiting ?? '')
    .execute();
  assert.equal(await forgetAll(db, hub.environmentId, 2), 1);
  assert.deepEqual(await told('wanted'), FORGOTTEN);

  const older = ids.older ?? '';
  await insertRelease(db, hub.environmentId, exampleRelease(older));
  const back = async (variables: string) => {
    const answer = await hub.api('POST', `/deployments/${older}/rollback`, { variables });
    return [answer.status, ((await answer.json()) as { detail?: string }).detail];
  };
  assert.match(String(await back('release')), /^409,The variables that this release ran with are gone/);
  const request = { environmentId: hub.environmentId, trigger: 'rollback', commit: COMMIT, branch: 'main' } as const;
  await assert.rejects(
    // The variables are pruned after the rollback target was checked: it must not go live without any.
    hub.deps.scheduler.create({ ...request, userId: null, rollback: { releaseOf: older, variables: 'release' } }),
    { code: 'ORK_CONFLICT', message: /^The variables that this release ran with are gone/ },
  );
  assert.equal((await back('current'))[0], 201);
});

test('a long log is deleted in many small transactions, after each of which the rest is readable', async (t) => {
  const { hub, db, ids } = await toldBy(t, { old: 'failed', newest: 'failed' });
  const id = ids.old ?? '';
  await db.transaction().execute(async (trx) => {
    for (let n = 0; n < 700; n += 1) await addLogChunk(trx, id, { step: 'build', offset: n, bytes: Buffer.from('x') });
  });
  const changes = () => sql<{ n: number }>`select total_changes() as n`.execute(db).then(({ rows }) => rows[0]?.n ?? 0);
  let before = await changes();
  let rounds = 0;
  while (await forgetSome(db, hub.environmentId, 1)) {
    const after = await changes();
    assert.ok(after - before <= 1000, `${after - before} rows in one transaction`);
    before = after;
    rounds += 1;
    await listEvents(db, id, 0, 1000);
  }
  assert.ok(rounds >= 6, `${rounds} rounds`);
});

test('each plan keeps details of a limited number of deployments, and requests for older ones say so', async (t) => {
  const hub = await startTestHub({ plan: 'free' });
  t.after(() => hub.stop());
  const { db, scheduler } = hub.deps;
  const { environmentId, account } = hub;
  const push = { environmentId, trigger: 'push', commit: COMMIT, branch: 'main', userId: account.userId } as const;
  const ids: string[] = [];
  for (let n = 0; n < PLANS.free.keepDetails + 2; n += 1) ids.push(await scheduler.create(push));
  await scheduler.forgotten();
  const kept = await db.selectFrom('deployment').select('id').where('details_kept', '=', 1).execute();
  assert.deepEqual(kept.map(({ id }) => id).sort(), ids.slice(2).sort());
  const text = async (path: string): Promise<string> => (await hub.api('GET', `/deployments/${ids[0]}${path}`)).text();
  const shown = JSON.parse(await text(''));
  assert.deepEqual([shown.status, shown.detailsKept], ['skipped', false]);
  assert.match(await text('/logs'), /this log is gone/);
  const events = [...(await text('/events')).matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''));
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['status', 'end'],
  );
  const { steps: _, release: __, ...deployment } = shown;
  assert.deepEqual(events[0].deployment, deployment);
});

async function hubWithLogs(t: TestContext, chunks: number) {
  const hub = await startTestHub();
  t.after(() => hub.stop());
  const { db, scheduler } = hub.deps;
  const other = await hub.addEnvironment('staging', 'main');
  const ids: string[] = [];
  for (const environmentId of [hub.environmentId, other]) {
    const { userId } = hub.account;
    const id = await scheduler.create({ environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId });
    await db.transaction().execute(async (trx) => {
      for (let n = 0; n < chunks; n += 1)
        await addLogChunk(trx, id, { step: 'build', offset: n, bytes: Buffer.from('x') });
    });
    ids.push(id);
  }
  const left = async (): Promise<number[]> => {
    const rows = [
      ...(await db.selectFrom('log_chunk').select('deployment_id').execute()),
      ...(await db.selectFrom('event').select('deployment_id').where('kind', '=', 'log').execute()),
    ];
    return ids.map((id) => rows.filter(({ deployment_id }) => deployment_id === id).length);
  };
  return { hub, left };
}

test('the logs of one environment are deleted in small steps, and the event loop runs in between', async (t) => {
  const { hub, left } = await hubWithLogs(t, 700);
  let turns = 0;
  let next = setImmediate(function again() {
    turns += 1;
    next = setImmediate(again);
  });
  await deleteHistory(hub.deps.db, hub.environmentId);
  clearImmediate(next);
  assert.ok(turns >= 6, `${turns} turns`);
  assert.deepEqual(await left(), [0, 1400]);
});

test('an environment or project is deleted only after its logs, events and steps', async (t) => {
  const { hub } = await hubWithLogs(t, 3);
  const { db } = hub.deps;
  await sql`create table seen (told integer)`.execute(db);
  await sql`create trigger look before delete on deployment begin
    insert into seen select (select count(*) from log_chunk where deployment_id = old.id)
      + (select count(*) from event where deployment_id = old.id)
      + (select count(*) from step where deployment_id = old.id); end`.execute(db);
  assert.equal((await hub.api('DELETE', '/projects/shop/environments/production')).status, 204);
  assert.equal((await hub.api('DELETE', '/projects/shop')).status, 204);
  const { rows } = await sql<{ told: number }>`select told from seen`.execute(db);
  assert.deepEqual(rows, [{ told: 0 }, { told: 0 }]);
});

test('ended deployments are deleted before their environment, except the last one of each host that must remove it', async (t) => {
  const { hub, db, ids } = await toldBy(t, {
    live: 'live',
    elsewhere: 'superseded',
    lastElsewhere: 'failed',
    wanted: 'superseded',
    old: 'superseded',
    last: 'failed',
    waiting: 'queued',
    neverSent: 'skipped',
  });
  const { environmentId } = hub;
  const builder = randomUUIDv7();
  await db
    .insertInto('host')
    .values({ id: builder, team_id: hub.account.teamId, name: 'builder', acknowledged: 0, created_at: AT })
    .execute();
  const change = async (name: string, set: Partial<Row<'deployment'>>) => {
    await db
      .updateTable('deployment')
      .set(set)
      .where('id', '=', ids[name] ?? '')
      .execute();
  };
  for (const name of Object.keys(ids))
    if (!['waiting', 'neverSent'].includes(name)) await change(name, { sent_at: AT });
  for (const name of ['elsewhere', 'lastElsewhere']) await change(name, { build_host_id: builder });
  await change('waiting', { release_of: ids.wanted ?? '' });
  await deleteHistory(db, environmentId);
  const left = await db.selectFrom('deployment').select('id').orderBy('generation').execute();
  assert.deepEqual(
    left.map(({ id }) => Object.entries(ids).find(([, other]) => other === id)?.[0]),
    ['live', 'lastElsewhere', 'wanted', 'last', 'waiting'],
  );
  await assert.rejects(
    hub.deps.scheduler.create({
      environmentId,
      trigger: 'rollback',
      commit: COMMIT,
      branch: 'main',
      userId: null,
      rollback: { releaseOf: ids.old ?? '', variables: 'current' },
    }),
    { code: 'ORK_NOT_FOUND' },
  );
  await hub.deps.scheduler.removeEnvironment(environmentId);
  const removals = await db.selectFrom('removal').select('host_id').execute();
  assert.deepEqual(removals.map(({ host_id }) => host_id).toSorted(), [hub.hostId, builder].toSorted());
});
