import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAccount } from '../setup.ts';
import { openDatabase, storeTrouble } from '../store/database.ts';
import { insertProject } from '../store/projects.ts';
import { authenticateToken } from './identity.ts';

const clock = { now: () => new Date(Date.UTC(2030, 0, 1)) };

test('on a full disk tokens still authenticate and writes report ORK_DISK_FULL; all works once there is space', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]);
  const db = await openDatabase(join(folder, 'hub.sqlite'));
  t.after(async () => {
    await db.destroy();
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  const { token, teamId } = await createAccount(db, clock, { email: 'a@example.com', team: 'Team', plan: 'pro' });
  const filler = join(folder, 'filler');
  assert.throws(() => writeFileSync(filler, Buffer.alloc(4 * 1024 ** 2)), { code: 'ENOSPC' });
  const used = () =>
    db
      .selectFrom('api_token')
      .select('last_used_at')
      .executeTakeFirst()
      .then((row) => row?.last_used_at);
  const project = { id: 'p', team_id: teamId, slug: 'p', origin: 'hub' as const, created_at: '' };

  assert.equal((await authenticateToken({ db, clock }, token))?.teamId, teamId);
  assert.equal(await used(), null, 'the disk takes nothing');
  await assert.rejects(insertProject(db, project), (error) => storeTrouble(error)?.code === 'ORK_DISK_FULL');

  rmSync(filler);
  await insertProject(db, project);
  await authenticateToken({ db, clock }, token);
  assert.equal(await used(), clock.now().toISOString());
});
