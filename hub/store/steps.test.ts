import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestHub } from '../test-hub.ts';
import { AT, COMMIT } from '../test-release.ts';
import { listSteps, putStep } from './steps.ts';

test('endless reports of one step create a limited number of events, and the last report is shown', async (t) => {
  const hub = await startTestHub();
  t.after(() => hub.stop());
  const { db, scheduler } = hub.deps;
  const { environmentId, account } = hub;
  const request = { environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: account.userId } as const;
  const id = await scheduler.create(request);
  const step = { name: 'build', status: 'running', startedAt: AT, output: null, error: null, ms: null } as const;
  await db.transaction().execute(async (trx) => {
    for (let n = 0; n < 300; n += 1) await putStep(trx, id, { ...step, note: `note ${n}` });
  });
  const events = await db.selectFrom('event').select('id').where('kind', '=', 'step').execute();
  assert.equal(events.length, 200);
  assert.equal((await listSteps(db, id))[0]?.note, 'note 299');
});
