import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMIT, startTestHub } from '../agents/test-hub.ts';
import { addLogChunk, forgetOldLogs, readLog } from './logs.ts';

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
