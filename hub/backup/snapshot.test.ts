import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Repositories } from '../git/repositories.ts';
import { prepareState } from '../state.ts';
import { takeSnapshot } from './snapshot.ts';
import { makeHub, PROJECT } from './test-state.ts';

/** Files to copy between packed refs and branches, so many that git gets to run in between. */
const PADS = 500;

const git = (repository: string, ...argv: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', `--git-dir=${repository}`, ...argv], {
    encoding: 'utf8',
    stdio: 'pipe',
  }).trim();

async function bench(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ork-snapshot-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const hub = join(folder, 'hub');
  const repository = await makeHub(hub);
  const tree = git(repository, 'hash-object', '-t', 'tree', '-w', '/dev/null');
  const push = (): void =>
    void git(repository, 'update-ref', 'refs/heads/main', git(repository, 'commit-tree', tree, '-m', `${Date.now()}`));
  mkdirSync(join(repository, 'pb'));
  for (let n = 0; n < PADS; n += 1) writeFileSync(join(repository, 'pb', `${n}`), '');
  const into = join(folder, 'into');
  mkdirSync(into);
  return { hub, repository, push, into, copy: join(into, 'git', basename(repository)) };
}

for (const [when, wasPacked] of [
  ['HEAD', false],
  ['packed-refs', true],
] as const) {
  test(`a branch that git packs right after ${when} is copied is in the snapshot with its current commit`, async (t) => {
    const { hub, repository, push, into, copy } = await bench(t);
    push();
    if (wasPacked) git(repository, 'pack-refs', '--all');
    push();
    const looking = setInterval(() => {
      if (!existsSync(join(copy, when))) return;
      clearInterval(looking);
      git(repository, 'pack-refs', '--all');
    }, 1);
    t.after(() => clearInterval(looking));
    await takeSnapshot(hub, prepareState(hub), into);
    assert.equal(git(copy, 'rev-parse', 'main'), git(repository, 'rev-parse', 'main'));
  });
}

test('a project that is deleted while its repository is copied is left out; the rest is in the snapshot', async (t) => {
  const { hub, push, into, copy } = await bench(t);
  push();
  const repositories = new Repositories(hub);
  const other = '01890a5d-ac96-774b-bcce-b302099a8058';
  await repositories.create(other);
  let removed: Promise<void> | undefined;
  const looking = setInterval(() => {
    if (existsSync(copy)) removed ??= repositories.remove(PROJECT);
  }, 1);
  t.after(() => clearInterval(looking));
  assert.deepEqual(await takeSnapshot(hub, prepareState(hub), into), { repositories: 1 });
  assert.ok(removed !== undefined);
  await removed;
  assert.deepEqual(readdirSync(join(into, 'git')), [`${other}.git`]);
});

test('a half-removed repository is in no snapshot, and the next removal deletes it', async (t) => {
  const { hub, repository, into } = await bench(t);
  const left = `${repository}.going`;
  renameSync(repository, left);
  assert.deepEqual(await takeSnapshot(hub, prepareState(hub), into), { repositories: 0 });
  await new Repositories(hub).remove(PROJECT);
  assert.ok(!existsSync(left));
});
