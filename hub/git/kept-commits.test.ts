/** Commits of releases survive any push: real pushes, and a real `git gc`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { hub } from '../test-hub.ts';
import { restoreBackup, makeBackup } from '../backup/backup.ts';
import { keepCommits } from './kept-commits.ts';
import { Repositories } from './repositories.ts';
import { checkout, commit, deployments, git, remote } from './test-git.ts';

/** A release of a commit that a forced push has since removed from its branch. */
async function withForced(t: TestContext) {
  const on = await hub(t);
  const agent = await on.connect();
  const folder = await checkout(on);
  const push = async (...argv: string[]): Promise<void> => {
    const { ok, out } = await git(folder, 'push', ...argv);
    assert.ok(ok, out);
  };
  const released = await commit(folder);
  await push(remote(on), 'main');
  await agent.live(await agent.job());
  await git(folder, 'commit', '-q', '--amend', '-m', 'another');
  await push('-f', remote(on), 'main');
  const second = await agent.job();
  assert.ok(second.kind === 'deploy');
  await agent.end(second, 'failed');
  const at = (state = on.folder): string => new Repositories(state).path(on.projectId);
  const refs = (state?: string): string[] =>
    execFileSync('git', [`--git-dir=${at(state)}`, 'for-each-ref', '--format=%(refname)', 'refs/orkestr'], {
      encoding: 'utf8',
    })
      .split('\n')
      .filter(Boolean);
  const prune = (): void => void execFileSync('git', [`--git-dir=${at()}`, 'gc', '--quiet', '--prune=now']);
  return { on, agent, folder, push, released, failed: second.commit, at, refs, prune };
}

const kept = (sha: string): string => `refs/orkestr/kept/${sha}`;

test('the commit of a release survives a forced push and pruning, and a backup restores it', async (t) => {
  const { on, folder, released, refs, push, prune } = await withForced(t);
  assert.deepEqual(refs(), [kept(released)]);
  prune();
  await on.deps.resolver.checkCommit(on.environmentId, released);
  const clone = await checkout(on, 'clone');
  assert.ok((await git(clone, 'fetch', '-q', remote(on), released)).ok);

  const file = join(on.folder, 'backup.tar.gz');
  // The test hub keeps no keys in its folder, but a backup needs them.
  for (const name of ['hub-key.pem', 'secret.key']) execFileSync('touch', [join(on.folder, name)]);
  await makeBackup(on.folder, file, new Date());
  const back = join(on.folder, 'back');
  await restoreBackup(back, file, { replace: false, now: new Date() });
  assert.deepEqual(refs(back), [kept(released)]);

  await git(folder, 'commit', '-q', '--amend', '-m', 'a third');
  await push('-f', remote(on), 'main');
  assert.ok(refs().includes(kept(released)));
});

test('a request for the branches alone does not check the kept commits; the push itself adds missing ones', async (t) => {
  const { on, folder, at, released, refs } = await withForced(t);
  execFileSync('git', [`--git-dir=${at()}`, 'update-ref', '-d', kept(released)]);
  assert.ok((await git(folder, 'push', '--dry-run', remote(on), 'main:elsewhere')).ok);
  assert.deepEqual(refs(), []);
  assert.ok((await git(folder, 'push', remote(on), 'main:elsewhere')).ok);
  assert.deepEqual(refs(), [kept(released)]);
});

test('fetches and pushes can neither see nor change the kept refs', async (t) => {
  const { on, folder, released, refs } = await withForced(t);
  assert.doesNotMatch((await git(folder, 'ls-remote', remote(on))).out, /orkestr/);
  const mirror = join(on.folder, 'mirror');
  await git(on.folder, 'clone', '-q', '--mirror', remote(on), mirror);
  assert.doesNotMatch((await git(mirror, 'for-each-ref')).out, /orkestr/);
  for (const command of [`:${kept(released)}`, `main:${kept(released)}`, 'main:refs/orkestr/mine']) {
    const pushed = await git(folder, 'push', '-f', remote(on), command);
    assert.equal(pushed.ok, false, command);
  }
  assert.ok((await git(mirror, 'push', '-q', '--mirror', remote(on))).ok);
  assert.deepEqual(refs(), [kept(released)]);
});

test('commits of unfinished deployments are kept until these end, and commits of removed environments are dropped', async (t) => {
  const { on, agent, folder, released, failed, push, refs } = await withForced(t);
  assert.ok(!refs().includes(kept(failed)));
  const other = await on.addEnvironment('staging', 'next');
  const waiting = await commit(folder);
  await push(remote(on), 'main:next');
  await push(remote(on), 'main:elsewhere');
  assert.deepEqual(refs(), [released, waiting].toSorted().map(kept));
  await agent.end(await agent.job(), 'failed');
  await push(remote(on), ':elsewhere');
  assert.deepEqual(refs(), [kept(released)]);
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  await push(remote(on), 'main:elsewhere');
  assert.deepEqual(refs(), []);
  assert.ok(other);
});

test('many existing commits get their refs at once, and incomplete ones get none and block no push', async (t) => {
  const { on, folder, at, refs, push } = await withForced(t);
  const argv = [`--git-dir=${at()}`];
  const make = (n: number): string => {
    const blob = execFileSync('git', [...argv, 'hash-object', '-w', '--stdin'], { input: `${n}`, encoding: 'utf8' });
    const entry = `100644 blob ${blob.trim()}\ta\n`;
    const tree = execFileSync('git', [...argv, 'mktree'], { input: entry, encoding: 'utf8' }).trim();
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@t'];
    const made = execFileSync('git', [...argv, ...identity, 'commit-tree', tree, '-m', `${n}`], { encoding: 'utf8' });
    if (n === 3) rmSync(join(at(), 'objects', blob.slice(0, 2), blob.trim().slice(2)));
    return made.trim();
  };
  const made = Array.from({ length: 12 }, (_, n) => make(n));
  const broken = made[3];
  const never = 'b'.repeat(40);
  await keepCommits(on.repositories, on.projectId, new Set([...made, never]));
  assert.deepEqual(
    refs(),
    made
      .filter((sha) => sha !== broken)
      .toSorted()
      .map(kept),
  );
  await commit(folder);
  await push(remote(on), 'main');
  assert.ok((await deployments(on)).length > 0);
});
