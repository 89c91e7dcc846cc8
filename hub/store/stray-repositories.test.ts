/** Repositories of deleted projects: none remains, whenever the hub was killed. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hub, startTestHub } from '../test-hub.ts';
import { addStrayRepository, listStrayRepositories } from './stray-repositories.ts';

test('repositories that a killed hub left are deleted at the next start, and those of existing projects stay', async (t) => {
  const first = await startTestHub();
  const { git, db, scheduler } = first.deps;
  const made = await first.api('POST', '/projects', { slug: 'other' });
  const { id: other } = (await made.json()) as { id: string };
  const neverStored = randomUUIDv7();
  await git.createRepository(neverStored);
  await git.createRepository(first.projectId);
  await scheduler.removeProject(first.projectId); // as if killed before it deleted the files
  await addStrayRepository(db, other); // a stray row of an existing project must be ignored
  const has = (id: string): boolean => existsSync(join(first.repositories.path(id), 'HEAD'));
  assert.deepEqual([neverStored, first.projectId, other].map(has), [true, true, true]);
  await first.stop(true);
  const on = await hub(t, { resume: first });
  assert.deepEqual([neverStored, first.projectId, other].map(has), [false, false, true]);
  assert.deepEqual(await listStrayRepositories(on.deps.db), []);
});

test('a repository that cannot be deleted does not block deleting its project, and is deleted at the next start', async (t) => {
  const first = await startTestHub({ turnMs: 50 });
  await first.deps.git.createRepository(first.projectId);
  const { repositories } = first;
  repositories.remove = () => Promise.reject(new Error('EIO'));
  assert.equal((await first.api('DELETE', '/projects/shop')).status, 204);
  assert.deepEqual(await listStrayRepositories(first.deps.db), [first.projectId]);
  await first.stop(true);
  const on = await hub(t, { resume: first });
  assert.ok(!existsSync(on.repositories.path(first.projectId)));
});
