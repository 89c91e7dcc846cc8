import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hub } from '../test-hub.ts';
import { AT, COMMIT, exampleRelease } from '../test-release.ts';
import { insertDeployment } from './deployments.ts';
import { insertRelease, listNeededCommits } from './releases.ts';

test('the needed commits are those of all releases, however many, and of unfinished deployments', async (t) => {
  const on = await hub(t);
  const { db } = on.deps;
  const request = { environmentId: on.environmentId, trigger: 'manual', branch: 'main', userId: null } as const;
  const commits = Array.from({ length: 1001 }, (_, n) => n.toString(16).padStart(40, '0'));
  await db.transaction().execute(async (trx) => {
    for (const [n, commit] of commits.entries()) {
      const id = `01890a5d-ac96-774b-bcce-${`${n}`.padStart(12, '0')}`;
      await insertDeployment(trx, id, { ...request, commit }, AT);
      await trx.updateTable('deployment').set({ status: 'superseded' }).where('id', '=', id).execute();
      await insertRelease(trx, on.environmentId, exampleRelease(id));
    }
    await insertDeployment(trx, '01890a5d-ac96-774b-bcce-ffffffffffff', { ...request, commit: COMMIT }, AT);
  });
  assert.deepEqual([...(await listNeededCommits(db, on.projectId))].toSorted(), [...commits, COMMIT].toSorted());
});
