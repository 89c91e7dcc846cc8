import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { COPY_SUFFIX, HALF_COPY_SUFFIX } from '../../protocol/service/database-copy.ts';
import { JOURNAL_FILE } from '../journal/database.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { forgetCopies, hubDatabase, restoreCopies } from './databases.ts';
import { layoutAt } from './layout.ts';

/** A host with the databases of agent and hub, which contain `newer`. */
function hostOf(t: TestContext) {
  const root = temporaryFolder(t);
  const layout = layoutAt(root);
  const agentState = join(root, 'agent');
  for (const folder of [agentState, layout.hubState]) mkdirSync(folder, { recursive: true });
  const [journal, hub] = [join(agentState, JOURNAL_FILE), hubDatabase(layout)];
  for (const path of [journal, hub]) writeFileSync(path, 'newer');
  return { layout, agentState, journal, hub };
}

test('going back restores the databases that the newer version migrated, that of the hub as well', (t) => {
  const { layout, agentState, journal, hub } = hostOf(t);
  writeFileSync(`${hub}${COPY_SUFFIX}`, 'older');
  for (const suffix of ['-wal', '-shm']) writeFileSync(`${hub}${suffix}`, 'of the newer file');
  assert.deepEqual(restoreCopies(layout, agentState), [hub]);
  assert.equal(readFileSync(hub, 'utf8'), 'older');
  assert.equal(readFileSync(journal, 'utf8'), 'newer');
  for (const suffix of [COPY_SUFFIX, '-wal', '-shm']) assert.equal(existsSync(`${hub}${suffix}`), false, suffix);
});

test('a half-written copy is deleted and never restored', (t) => {
  const { layout, agentState, hub } = hostOf(t);
  writeFileSync(`${hub}${HALF_COPY_SUFFIX}`, 'old');
  assert.deepEqual(restoreCopies(layout, agentState), []);
  assert.equal(readFileSync(hub, 'utf8'), 'newer');
  assert.equal(existsSync(`${hub}${HALF_COPY_SUFFIX}`), false);
});

test('copies of an earlier upgrade are not restored by a later one', (t) => {
  const { layout, agentState, journal, hub } = hostOf(t);
  for (const path of [journal, hub]) writeFileSync(`${path}${COPY_SUFFIX}`, 'much older');
  forgetCopies(layout, agentState);
  assert.deepEqual(restoreCopies(layout, agentState), []);
  assert.equal(readFileSync(hub, 'utf8'), 'newer');
});
