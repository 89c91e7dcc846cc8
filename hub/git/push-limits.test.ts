/** Limits of what a push may cost the hub: disk, memory, processes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { until } from '../../test/harness/until.ts';
import { hub, startTestHub } from '../test-hub.ts';
import type { TestHub } from '../test-hub.ts';
import {
  brokenPush,
  checkout,
  commit,
  deployments,
  git,
  gitPids,
  gitProcesses,
  line,
  post,
  readProc,
  remote,
} from './test-git.ts';

/** The hub's repositories on a disk of their own. */
async function hubOnDisk(t: TestContext, mebibytes: number) {
  const on = await startTestHub();
  const root = join(on.folder, 'git');
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`, 'tmpfs', root]);
  t.after(async () => {
    execFileSync('umount', [root]);
    await on.stop();
  });
  return { on, root };
}

/** Adds packs with one and the same object: for git, each name is another pack. */
function addPacks(repository: string, count: number): void {
  const git = (args: readonly string[], input: string): string =>
    execFileSync('git', args, { cwd: repository, input, encoding: 'utf8' });
  const pack = git(['pack-objects', '-q', 'objects/pack/pack'], git(['hash-object', '-w', '--stdin'], 'object'));
  const pathOf = (name: string): string => join(repository, 'objects', 'pack', `pack-${name}`);
  for (let n = 1; n < count; n += 1) {
    const name = String(n).padStart(40, '0');
    for (const type of ['pack', 'idx']) copyFileSync(`${pathOf(pack.trim())}.${type}`, `${pathOf(name)}.${type}`);
  }
}

/** The first request of a clone. */
const advertisement = (on: TestHub, token: string): Parameters<typeof fetch> => [
  `${on.url}/git/shop.git/info/refs?service=git-upload-pack`,
  { headers: { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` } },
];

test('a project cannot grow beyond its limit, and the error names the limit', async (t) => {
  const on = await hub(t, { sizeLimit: 1024 * 1024 });
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(600_000));
  assert.ok((await git(folder, 'push', remote(on), 'main')).ok);
  await commit(folder, 'b', randomBytes(700_000));
  const over = await git(folder, 'push', remote(on), 'main');
  assert.equal(over.ok, false);
  assert.match(over.out, /pack exceeds maximum allowed size/);
  await on.deps.git.createRepository(on.projectId);
  writeFileSync(join(on.repositories.path(on.projectId), 'filler'), randomBytes(600_000));
  const full = await git(folder, 'push', remote(on), 'main');
  assert.match(full.out, /limit of 1 MiB/);
  assert.equal((await deployments(on)).length, 1);
});

test('a repository that is full of unreachable objects is pruned and accepts the next push', async (t) => {
  const on = await hub(t, { sizeLimit: 1024 * 1024 });
  const folder = await checkout(on);
  await commit(folder, 'large', randomBytes(700_000));
  assert.ok((await git(folder, 'push', remote(on), 'main')).ok);
  for (const { id } of await deployments(on)) await on.deps.scheduler.cancel(id);
  await git(folder, 'rm', '-q', 'large');
  writeFileSync(join(folder, 'small'), 'x');
  await git(folder, 'add', '-A');
  await git(folder, 'commit', '-q', '--amend', '-m', 'without it');
  const forced = await git(folder, 'push', '-f', remote(on), 'main');
  assert.ok(forced.ok, forced.out);
  const size = await on.repositories.size(on.projectId);
  assert.ok(size > 700_000, 'nothing is pruned where all fits in');
  await commit(folder, 'next', randomBytes(400_000));
  const next = await git(folder, 'push', remote(on), 'main');
  assert.ok(next.ok, next.out);
  assert.ok((await on.repositories.size(on.projectId)) < 600_000);
  // A chunked push announces no length. It is refused once it exceeds the free space; the next try prunes first.
  await git(folder, 'reset', '-q', '--hard', 'HEAD~1');
  await commit(folder, 'again', randomBytes(900_000));
  for (const { id, status } of await deployments(on)) if (status === 'queued') await on.deps.scheduler.cancel(id);
  const inPieces = () => git(folder, '-c', 'http.postBuffer=65536', 'push', '-f', remote(on), 'main');
  await git(folder, 'push', '-f', remote(on), 'HEAD~1:main');
  for (const { id, status } of await deployments(on)) if (status === 'queued') await on.deps.scheduler.cancel(id);
  assert.match((await inPieces()).out, /pack exceeds maximum allowed size/);
  const again = await inPieces();
  assert.ok(again.ok, again.out);
});

test('branches of a full repository can be deleted, which frees space', async (t) => {
  const on = await hub(t, { sizeLimit: 1024 * 1024 });
  const folder = await checkout(on);
  await commit(folder);
  assert.ok((await git(folder, 'push', remote(on), 'main')).ok);
  await git(folder, 'checkout', '-q', '-b', 'other');
  await commit(folder, 'large', randomBytes(900_000));
  assert.ok((await git(folder, 'push', remote(on), 'other')).ok);
  const filler = join(on.repositories.path(on.projectId), 'filler');
  writeFileSync(filler, randomBytes(200_000));
  await git(folder, 'checkout', '-q', 'main');
  await commit(folder);
  for (const command of [['main'], ['main', ':other']]) {
    const refused = await git(folder, 'push', remote(on), ...command);
    assert.equal(refused.ok, false);
    assert.match(refused.out, /remote: The repository has reached its limit of 1 MiB/);
  }
  const deleted = await git(folder, 'push', remote(on), ':other');
  assert.ok(deleted.ok, deleted.out);
  const pushed = await git(folder, 'push', remote(on), 'main');
  assert.ok(pushed.ok, pushed.out);
});

test('many branches are packed into few files, small files count with their disk usage, and refs are limited', async (t) => {
  const on = await hub(t, { refLimit: 250 });
  const folder = await checkout(on);
  const head = await commit(folder);
  const branches = Array.from({ length: 250 }, (_, n) => `${head}:refs/heads/many/${n}`);
  const pushed = await git(folder, 'push', '-q', remote(on), ...branches);
  assert.ok(pushed.ok, pushed.out);
  const path = on.repositories.path(on.projectId);
  await until(() => !existsSync(join(path, 'refs', 'heads', 'many')));
  const size = await on.repositories.size(on.projectId);
  for (let n = 0; n < 10; n += 1) writeFileSync(join(path, `small-${n}`), 'x');
  assert.equal((await on.repositories.size(on.projectId)) - size, 10 * 4097);
  const more = await git(folder, 'push', '-q', remote(on), 'main');
  assert.match(more.out, /limit of 250 branches and tags/);
  const deleted = await git(folder, 'push', '-q', remote(on), ':many/0');
  assert.ok(deleted.ok, deleted.out);
  const room = await git(folder, 'push', '-q', remote(on), 'main');
  assert.ok(room.ok, room.out);
});

test('a lock file that a killed ref packing left does not block the next push', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  await on.deps.git.createRepository(on.projectId);
  const path = on.repositories.path(on.projectId);
  writeFileSync(join(path, 'packed-refs.lock'), '');
  assert.ok((await git(folder, 'push', remote(on), 'main')).ok);
  assert.ok((await git(folder, 'push', remote(on), ':main')).ok);
  assert.ok(!existsSync(join(path, 'packed-refs.lock')));
});

test('a pushed object that fails git fsck is refused', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  // A tree with an entry ".git": fsck's hasDotgit.
  const blob = (await git(folder, 'hash-object', '-w', 'index.html')).out.trim();
  writeFileSync(join(folder, '..', 'tree'), Buffer.concat([Buffer.from('100644 .git\0'), Buffer.from(blob, 'hex')]));
  const tree = (await git(folder, 'hash-object', '-t', 'tree', '--literally', '-w', '../tree')).out.trim();
  const bad = (await git(folder, 'commit-tree', tree, '-m', 'bad')).out.trim();
  const pushed = await git(folder, 'push', remote(on), `${bad}:refs/heads/main`);
  assert.equal(pushed.ok, false);
  assert.match(pushed.out, /hasDotgit|fsck error/);
});

test('one token cannot use up all concurrent git requests', async (t) => {
  const on = await hub(t, { concurrency: { inAll: 4, ofOne: 1 } });
  const socket = await brokenPush(on);
  const made = await on.api('POST', '/tokens', { name: 'other', scopes: ['read'] });
  const { token } = (await made.json()) as { token: string };
  assert.match(
    (await git(on.folder, 'ls-remote', remote(on))).out,
    /This token cannot have more git requests in progress/,
  );
  assert.equal((await fetch(...advertisement(on, token))).status, 200);
  socket.destroy();
  await until(async () => (await fetch(...advertisement(on, on.account.token))).status === 200);
});

test('a push with an endless list of refs is aborted', async (t) => {
  const on = await hub(t);
  const create = `${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/`;
  const commands = Array.from({ length: 12_000 }, (_, n) => line(`${create}branch-${n}`)).join('');
  const answer = await post(on, 'git-receive-pack', Buffer.from(commands));
  await assert.rejects(answer.text(), 'cut off, before git has heard all of them');
  await until(() => gitProcesses(on.repositories.path(on.projectId)) === 0);
});

test('a small request that decompresses to a large one is refused', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  const sha = await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  const fetched = async (haves: number): Promise<string> => {
    const known = line(`have ${'b'.repeat(40)}\n`).repeat(haves);
    const request = `${line('command=fetch')}0001${line(`want ${sha}\n`)}${known}${line('done\n')}0000`;
    const headers = { 'content-encoding': 'gzip', 'git-protocol': 'version=2' };
    return (await post(on, 'git-upload-pack', gzipSync(request), headers)).text();
  };
  assert.match(await fetched(1000), /PACK/);
  // upload-pack would keep every line of it in memory.
  assert.doesNotMatch(await fetched(250_000), /PACK/);
});

test('space reserved for a push is unavailable to a push into another repository', async (t) => {
  const { on } = await hubOnDisk(t, 70);
  await on.api('POST', '/projects', { slug: 'other' });
  // It announces 4 MB of the 6 MiB and sends nothing.
  const socket = await brokenPush(on, 4_000_000);
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(3_000_000));
  const push = () =>
    git(folder, '-c', 'http.postBuffer=8000000', 'push', remote(on, on.account.token, 'other'), 'main');
  assert.match((await push()).out, /429/);
  socket.destroy();
  await until(async () => (await push()).ok);
});

test('a repository is repacked only if a copy of it fits beside the space reserved for the hub', async (t) => {
  const { on, root } = await hubOnDisk(t, 90);
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(16_000_000));
  const first = await git(folder, 'push', remote(on), 'main');
  assert.ok(first.ok, first.out);
  const packs = join(on.repositories.path(on.projectId), 'objects', 'pack');
  // More packs than git tolerates without repacking (gc.autoPackLimit).
  addPacks(on.repositories.path(on.projectId), 55);
  const pushed = async (): Promise<number> => {
    await commit(folder);
    const { ok, out } = await git(folder, 'push', remote(on), 'main');
    assert.ok(ok, out);
    return readdirSync(packs).filter((name) => name.endsWith('.pack')).length;
  };
  assert.ok((await pushed()) > 55);
  execFileSync('mount', ['-o', 'remount,size=120m', root]);
  assert.ok((await pushed()) < 10);
});

test('a push cannot take the space reserved for the hub', async (t) => {
  const { on, root } = await hubOnDisk(t, 68);
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(6_000_000));
  const large = await git(folder, 'push', remote(on), 'main');
  assert.match(large.out, /pack exceeds maximum allowed size/);
  writeFileSync(join(root, 'filler'), randomBytes(5_000_000));
  const full = await git(folder, 'push', remote(on), 'main');
  assert.match(full.out, /507/);
  assert.match(full.out, /64 MiB and 10000 inodes must stay free for the hub/);
});

test('a small push that unpacks to a large file does not need more memory', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder, 'zeros', Buffer.alloc(96 * 1024 ** 2));
  let peak = 0;
  const watching = setInterval(() => {
    for (const pid of gitPids(on.repositories.path(on.projectId))) {
      const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readProc(pid, 'status')) ?? [];
      peak = Math.max(peak, Number(kibibytes ?? 0) / 1024);
    }
  }, 30);
  const pushed = await git(folder, 'push', remote(on), 'main');
  clearInterval(watching);
  assert.ok(pushed.ok, pushed.out);
  assert.ok(peak > 0 && peak < 80, `${peak} MiB`);
});
