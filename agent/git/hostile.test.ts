/** Malicious repositories: real git against a real HTTP git server. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GIT_ENV } from '../../test/harness/git-http.ts';
import { GitRemote } from './test-remote.ts';

let remote: GitRemote;

describe('clone of a malicious repository', () => {
  before(async () => void (remote = await GitRemote.start()));
  after(() => remote.close());

  test('rejects hostile URLs, branches and commits before git runs', async (t) => {
    const sha = 'a'.repeat(40);
    for (const url of [
      'ext::sh -c touch% /tmp/x',
      'file:///etc',
      '--upload-pack=touch',
      'https://u:p@host/x.git',
      'ssh://-oProxyCommand=x/y',
      'https://host/x.git?a',
      '/etc',
    ]) {
      assert.equal((await remote.checkout(t, url, sha)).error?.code, 'ORK_URL_REFUSED', url);
    }
    const url = 'https://host.invalid/x.git';
    for (const branch of ['--upload-pack=x', '-b', 'a..b', 'a b', '']) {
      assert.equal((await remote.checkout(t, url, sha, { branch })).error?.code, 'ORK_REF_REFUSED', branch);
    }
    for (const commit of ['HEAD', '--all', sha.slice(1), `${sha}\n`]) {
      assert.equal((await remote.checkout(t, url, commit)).error?.code, 'ORK_REF_REFUSED', commit);
    }
  });

  test('rejects a name that is not UTF-8, of a file, folder or link, and reports it; other names are accepted', async (t) => {
    const named = [
      ['caf\xe9.txt', (path: Buffer) => writeFile(path, '')],
      ['d\xe9/a', (path: Buffer) => mkdir(path.subarray(0, -2)).then(() => writeFile(path, ''))],
      ['\xff', (path: Buffer) => symlink('/etc/shadow', path)],
    ] as const;
    for (const [index, [name, make]] of named.entries()) {
      const repo = await remote.repository(`names-${index}`);
      await make(Buffer.concat([Buffer.from(`${repo.tree}/`), Buffer.from(name, 'latin1')]));
      const { error } = await remote.checkout(t, repo.url, await repo.commit({ a: '1' }));
      assert.equal(error?.code, 'ORK_REPO_UNSAFE', name);
      assert.match(error.message, /^The name of .* is not UTF-8\.$/);
    }
    const good = await remote.repository('names-good');
    assert.equal((await remote.checkout(t, good.url, await good.commit({ 'café/日本.txt': '1' }))).error, null);
  });

  test('rejects links that lead out of the repository and accepts others', async (t) => {
    const escapes = ['/etc/passwd', '../../x', 'sub/../../../x', 'loop/../../../x'];
    for (const [index, target] of escapes.entries()) {
      const repo = await remote.repository(`links-${index}`);
      await mkdir(join(repo.tree, 'sub'));
      await symlink(target, join(repo.tree, 'sub', 'bad'));
      assert.equal(
        (await remote.checkout(t, repo.url, await repo.commit({ a: '1' }))).error?.code,
        'ORK_REPO_UNSAFE',
        target,
      );
    }
    const detour = await remote.repository('links-detour');
    await mkdir(join(detour.tree, 'p/q'), { recursive: true });
    await symlink('../..', join(detour.tree, 'p/q/up'));
    await symlink('p/q/up/../x', join(detour.tree, 'bad')); // lexically inside, but not once resolved
    assert.equal(
      (await remote.checkout(t, detour.url, await detour.commit({ a: '1' }))).error?.code,
      'ORK_REPO_UNSAFE',
    );
    const good = await remote.repository('links-good');
    await mkdir(join(good.tree, 'sub'));
    await symlink('../a', join(good.tree, 'sub', 'fine'));
    await symlink('nowhere/yet', join(good.tree, 'dangling'));
    await symlink('ring', join(good.tree, 'ring'));
    assert.equal((await remote.checkout(t, good.url, await good.commit({ a: '1' }))).error, null);
  });

  test('rejects too many files or bytes before they are written', async (t) => {
    const repo = await remote.repository('large');
    const commit = await repo.commit(
      Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, 'x'.repeat(5000)])),
    );
    const many = await remote.checkout(t, repo.url, commit, { limits: { files: 29 } });
    assert.match(`${many.error?.code} ${many.error?.message}`, /ORK_REPO_TOO_LARGE .*29 files/);
    assert.deepEqual(await readdir(many.directory), ['.git']);
    const big = await remote.checkout(t, repo.url, commit, { limits: { bytes: 149_999 } });
    assert.equal(big.error?.code, 'ORK_REPO_TOO_LARGE');
    assert.equal((await remote.checkout(t, repo.url, commit, { limits: { files: 30, bytes: 150_000 } })).error, null);
  });

  test('rejects a tree bomb, whose few objects name billions of files', async (t) => {
    const repo = await remote.repository('bomb');
    await repo.commit({ seed: 'x' });
    const object = (type: string, input: string): string =>
      execFileSync('git', type === 'tree' ? ['mktree'] : ['hash-object', '-w', '--stdin'], {
        cwd: repo.tree,
        env: GIT_ENV,
        input,
        encoding: 'utf8',
      }).trim();
    let entry = `100644 blob ${object('blob', 'boom')}`;
    for (let level = 0; level < 10; level += 1) {
      const lines = Array.from({ length: 10 }, (_, index) => `${entry}\tf${index}\n`).join('');
      entry = `040000 tree ${object('tree', lines)}`;
    }
    const commit = repo.git('commit-tree', '-m', 'bomb', entry.split(' ')[2] ?? '');
    repo.git('push', '-q', '--force', join(remote.root, 'bomb.git'), `${commit}:main`);
    assert.equal((await remote.checkout(t, repo.url, commit)).error?.code, 'ORK_REPO_TOO_LARGE');
  });

  test('ends the fetch as soon as its objects exceed the limit on disk', async (t) => {
    const repo = await remote.repository('heavy');
    // Above git's limit for unpacking objects one by one, so it writes the pack to disk as it arrives.
    const noise = (): string => randomBytes(15_000).toString('base64');
    const commit = await repo.commit(Object.fromEntries(Array.from({ length: 150 }, (_, index) => [index, noise()])));
    // The pack never completes: only the watch can end the fetch.
    const slow = (request: IncomingMessage, response: ServerResponse): boolean => {
      if (!(request.url ?? '').endsWith('git-upload-pack')) return false;
      const end = response.end.bind(response);
      response.end = ((body: Buffer) => {
        if (body.length < 100_000) return end(body); // the list of branches
        response.write(body.subarray(0, -10));
        return response;
      }) as typeof response.end;
      return false;
    };
    remote.onRequest = slow;
    t.after(() => {
      remote.onRequest = undefined;
    });
    const { error, directory } = await remote.checkout(t, repo.url, commit, { limits: { bytes: 1_000_000 } });
    assert.equal(error?.code, 'ORK_REPO_TOO_LARGE');
    assert.deepEqual(await readdir(directory), ['.git']);
  });

  test('runs nothing from hooks, filters, attributes or submodules of the repository', async (t) => {
    const canary = join(remote.root, 'canary');
    const repo = await remote.repository('hostile');
    const payload = `touch ${canary}`;
    await mkdir(join(repo.tree, 'hooks'));
    await writeFile(join(repo.tree, 'hooks/post-checkout'), `#!/bin/sh\n${payload}\n`);
    await chmod(join(repo.tree, 'hooks/post-checkout'), 0o755);
    await mkdir(join(repo.tree, 'module')); // without it, `git add` considers the submodule deleted
    repo.git('update-index', '--add', '--cacheinfo', `160000,${'b'.repeat(40)},module`);
    const commit = await repo.commit({
      '.gitattributes': '* filter=evil diff=evil merge=evil\n*.bin filter=lfs\n',
      '.gitconfig': `[core]\n\thooksPath = hooks\n\tfsmonitor = ${payload}\n[filter "evil"]\n\tsmudge = ${payload}\n`,
      '.gitmodules': `[submodule "module"]\n\tpath = module\n\turl = ext::sh -c '${payload}'\n`,
      'large.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n',
    });
    const tree = repo.git('ls-tree', commit);
    const { error, directory, log } = await remote.checkout(t, repo.url, commit);
    assert.equal(error, null);
    assert.ok(!existsSync(canary));
    assert.match(await readFile(join(directory, 'large.bin'), 'utf8'), /^version https:\/\/git-lfs/);
    assert.match(tree, /160000 commit/);
    assert.match(log, /^warning: Submodules are not fetched, .*: module\. /m);
  });

  test('rejects a submodule that would run a command, with the reason', async (t) => {
    const repo = await remote.repository('hostile-update');
    const commit = await repo.commit({
      '.gitmodules': '[submodule "m"]\n\tpath = m\n\turl = https://x/y\n\tupdate = !true\n',
    });
    const { error } = await remote.checkout(t, repo.url, commit);
    assert.equal(error?.code, 'ORK_REPO_UNSAFE');
    assert.match(error.message, /disallowed submodule update/);
  });
});
