import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { sql } from 'kysely';
import { COMMIT, startTestHub } from '../agents/test-hub.ts';
import { addLogChunk, deleteTold, forgetOldLogs, readLog } from './logs.ts';

test('only the newest deployments keep their logs, and one that has not ended keeps its own whatever its age', async (t) => {
  const hub = await startTestHub();
  t.after(() => hub.stop());
  const { db, scheduler } = hub.deps;
  const ids: string[] = [];
  for (const text of ['running', 'old', 'newer', 'newest']) {
    const { environmentId, account } = hub;
    const id = await scheduler.create({
      environmentId,
      trigger: 'manual',
      commit: COMMIT,
      branch: 'main',
      userId: account.userId,
    });
    await addLogChunk(db, id, { step: 'build', offset: 0, bytes: Buffer.from(text) });
    ids.push(id);
  }
  const ended = ids.slice(1);
  await db
    .updateTable('deployment')
    .set({ status: 'failed', finished_at: '2030-01-01T00:00:00.000Z' })
    .where('id', 'in', ended)
    .execute();

  await forgetOldLogs(db, hub.environmentId, 2);

  const texts = await Promise.all(
    ids.map(async (id) => Buffer.concat(await Array.fromAsync(readLog(db, id, 'build'))).toString()),
  );
  assert.deepEqual(texts, ['running', '', 'newer', 'newest']);
  const events = await db.selectFrom('event').select(['deployment_id', 'kind']).where('kind', '=', 'log').execute();
  assert.deepEqual(
    events.map(({ deployment_id }) => deployment_id).sort(),
    [ids[0], ids[2], ids[3]].sort((a = '', b = '') => a.localeCompare(b)),
  );
  const status = await db
    .selectFrom('event')
    .select('id')
    .where('deployment_id', '=', ids[1] ?? '')
    .where('kind', '=', 'status')
    .execute();
  assert.ok(status.length > 0, 'what became of it stays');
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

test('the logs of an environment are deleted bit by bit, those of others stay, and the hub does other things meanwhile', async (t) => {
  const { hub, left } = await hubWithLogs(t, 700);
  let turns = 0;
  let next = setImmediate(function again() {
    turns += 1;
    next = setImmediate(again);
  });
  await deleteTold(hub.deps.db, hub.environmentId);
  clearImmediate(next);
  assert.ok(turns >= 6, `${turns} turns`);
  assert.deepEqual(await left(), [0, 1400]);
});

test('an environment or a project is deleted only once its logs, events and steps are gone', async (t) => {
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
