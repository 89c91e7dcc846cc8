import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hub } from '../test-hub.ts';
import { insertUpgrade } from './upgrades.ts';

test('the newest hundred ended upgrades are kept, and any upgrade with a host in progress', async (t) => {
  const on = await hub(t);
  const { db } = on.deps;
  const upgrade = { team_id: on.account.teamId, version: '1.0.0', at_once: 1, created_at: '2030-01-01T00:00:00.000Z' };
  const made: string[] = [];
  for (let n = 0; n < 104; n += 1) {
    made.push(await insertUpgrade(db, upgrade, [on.hostId]));
    await db.updateTable('upgrade').set({ state: 'cancelled' }).execute();
    // The second one was cancelled while its host was in progress.
    const state = n === 1 ? 'switching' : 'failed';
    await db
      .updateTable('upgrade_host')
      .set({ state })
      .where('upgrade_id', '=', made[n] ?? '')
      .execute();
  }
  const rows = await db.selectFrom('upgrade').select('id').execute();
  const kept = new Set(rows.map(({ id }) => id));
  assert.equal(kept.size, 101);
  // Ids from the same millisecond are not ordered, so those in the middle are not checked.
  assert.deepEqual(
    [made[0], made[1], made[10], made.at(-1)].map((id) => kept.has(id ?? '')),
    [false, true, true, true],
  );
  const hosts = await db.selectFrom('upgrade_host').select('upgrade_id').execute();
  assert.equal(hosts.length, 101);
});
