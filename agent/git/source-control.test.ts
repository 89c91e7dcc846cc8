/** Real git against a real HTTP git server. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { SimpleGit } from 'simple-git';
import { GIT_ENV } from '../../test/harness/git-http.ts';
import { fetchCommit } from './fetch.ts';
import { makeSourceControl } from './source-control.ts';
import { GitRemote, TOKEN } from './test-remote.ts';

const run = promisify(execFile);
let remote: GitRemote;

describe('clone', () => {
  before(async () => void (remote = await GitRemote.start()));
  after(() => remote.close());

  test('checks out exactly the requested commit, without history, and returns its facts', async (t) => {
    const repo = await remote.repository('plain');
    const first = await repo.commit({ 'a.txt': 'one', 'sub/b.txt': '12345' });
    await repo.commit({ 'a.txt': 'two' });
    const { result, directory } = await remote.checkout(t, repo.url, first);
    assert.ok(result);
    const { committedAt = '', ...facts } = result;
    assert.deepEqual(facts, { commit: first, subject: 'Say hi', author: 'Ann', files: 2, bytes: 8 });
    assert.ok(Math.abs(Date.now() - Date.parse(committedAt)) < 60_000, committedAt);
    assert.equal(await readFile(join(directory, 'a.txt'), 'utf8'), 'one');
    assert.deepEqual((await readdir(directory)).sort(), ['a.txt', 'sub']);
  });

  test('replaces what an earlier attempt left in the folder', async () => {
    const repo = await remote.repository('again');
    const commit = await repo.commit({ 'a.txt': 'one' });
    const folder = await mkdtemp(join(remote.root, 'out-'));
    await writeFile(join(folder, 'stale'), '');
    const sourceControl = makeSourceControl({ privateDirectory: join(remote.root, 'private-again') });
    const log = { write: () => undefined, line: () => undefined };
    const source = { origin: 'hub' as const, url: repo.url, branch: 'main' };
    await sourceControl.checkout({ source, commit, directory: folder, log, signal: new AbortController().signal });
    assert.deepEqual(await readdir(folder), ['a.txt']);
  });

  test('fetches a repository of the hub from the address at which this host reaches the hub, with its token', async (t) => {
    const repo = await remote.repository('private-of-hub');
    const commit = await repo.commit({ 'a.txt': 'one' });
    const [hubUrl, url] = [`http://127.0.0.1:${remote.port}`, 'https://hub.invalid/private-of-hub.git'];
    const { error, result, log } = await remote.checkout(t, url, commit, { origin: 'hub', hubUrl, token: TOKEN });
    assert.equal(error, null);
    assert.equal(result?.commit, commit);
    assert.ok(log.includes(`of ${repo.url} (main)`), log);
    const elsewhere = await remote.checkout(t, url, commit, { origin: 'external', hubUrl, token: TOKEN });
    assert.equal(elsewhere.error?.code, 'ORK_REPO_UNREACHABLE', 'of others it is told where they are');
    const unsafe = await remote.checkout(t, 'https://hub.invalid/a.git?x', commit, { origin: 'hub', hubUrl });
    assert.equal(unsafe.error?.code, 'ORK_URL_REFUSED');
  });

  test('opens a private repository with its token and leaks it to no argv, environment, file name, log or leftover', async (t) => {
    const repo = await remote.repository('private');
    const commit = await repo.commit({ 'a.txt': 'one' });
    const seen: string[] = [];
    remote.onRequest = () => {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        for (const file of ['cmdline', 'environ']) seen.push(readProcFile(pid, file));
      }
      return false;
    };
    t.after(() => {
      remote.onRequest = undefined;
    });
    const { result, log, directory } = await remote.checkout(t, repo.url, commit, { token: TOKEN });
    assert.equal(result?.files, 1);
    const encoded = Buffer.from(`x:${TOKEN}`).toString('base64');
    assert.ok(
      seen.some((text) => text.includes('git-remote-http') || text.includes('fetch')),
      'git was looked at while it ran',
    );
    for (const text of [...seen, log]) {
      assert.ok(!text.includes(TOKEN) && !text.includes(encoded));
    }
    assert.throws(() => execFileSync('grep', ['-r', '-e', TOKEN, '-e', encoded, directory]));
  });

  test('fails with an access error, and without a password prompt, if the token is missing or wrong', async (t) => {
    const repo = await remote.repository('private-too');
    const commit = await repo.commit({ a: '1' });
    for (const token of [undefined, 'wrong-token']) {
      const { error } = await remote.checkout(t, repo.url, commit, token === undefined ? {} : { token });
      assert.equal(error?.code, 'ORK_REPO_ACCESS');
      assert.ok(!JSON.stringify([error?.message, error?.evidence]).includes('wrong-token'));
    }
  });

  test('gives each refusal of a remote its own code', async (t) => {
    const repo = await remote.repository('codes');
    const commit = await repo.commit({ a: '1' });
    const unknown = 'a'.repeat(40);
    const empty = await remote.repository('empty');
    const closed = `http://127.0.0.1:1/x.git`;
    const cases: [string, string, string, string][] = [
      [repo.url, unknown, 'main', 'ORK_COMMIT_UNKNOWN'],
      [repo.url, unknown, 'other', 'ORK_BRANCH_UNKNOWN'],
      [empty.url, unknown, 'main', 'ORK_REPO_EMPTY'],
      [`http://127.0.0.1:${remote.port}/none.git`, commit, 'main', 'ORK_REPO_ACCESS'],
      [closed, commit, 'main', 'ORK_REPO_UNREACHABLE'],
    ];
    for (const [url, sha, branch, code] of cases) {
      assert.equal((await remote.checkout(t, url, sha, { branch })).error?.code, code, `${url} ${branch}`);
    }
  });

  test('searches the branch, however deep, if the remote does not serve single commits', async (t) => {
    const repo = await remote.repository('old');
    const first = await repo.commit({ a: 'first' });
    const more = 'commit refs/heads/main\ncommitter Ann <a@b> 1 +0000\ndata 4\nmore\n';
    const input = more + 'from refs/heads/main^0\n' + more.repeat(59);
    execFileSync('git', ['fast-import', '--quiet'], { cwd: repo.tree, env: GIT_ENV, input });
    await repo.commit({ a: 'last' });
    const { result, directory, log } = await remote.checkout(t, repo.url, first);
    assert.equal(result?.commit, first);
    assert.equal(await readFile(join(directory, 'a'), 'utf8'), 'first');
    assert.match(log, /searching the branch/);
  });

  test('makes git print something, because simple-git waits 50 ms for a command that does not', async (t) => {
    const repo = await remote.repository('talks');
    const commit = await repo.commit({ a: '1' });
    const folder = await mkdtemp(join(remote.root, 'fetch-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    await run('git', ['init', '-q', folder], { env: GIT_ENV });
    const said: string[] = [];
    const raw = (async (...args: string[]) => {
      const { stdout, stderr } = await run('git', args, { cwd: folder, env: GIT_ENV });
      said.push(stdout + stderr);
      return stdout;
    }) as SimpleGit['raw'];
    const source = { origin: 'hub' as const, url: repo.url, branch: 'main' };
    await fetchCommit({ raw }, source, commit, { write: () => undefined, line: () => undefined });
    assert.equal(said.length, 1);
    assert.notEqual(said[0], '');
  });

  test('runs into the time limit if the server never answers, and ends at once on a cancel', async (t) => {
    remote.onRequest = () => true;
    t.after(() => {
      remote.onRequest = undefined;
    });
    const url = `http://127.0.0.1:${remote.port}/silent.git`;
    const slow = await remote.checkout(t, url, 'a'.repeat(40), { limits: { timeoutMs: 400 } });
    assert.equal(slow.error?.code, 'ORK_REPO_UNREACHABLE');
    const signal = AbortSignal.timeout(300);
    assert.equal((await remote.checkout(t, url, 'a'.repeat(40), { signal })).error?.code, 'ORK_CANCELLED');
  });

  test('names files that are only Git LFS pointers', async (t) => {
    const repo = await remote.repository('lfs');
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'1'.repeat(64)}\nsize 1\n`;
    const commit = await repo.commit({
      'sub/.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
      ...Object.fromEntries(['a', 'b', 'é', 'd'].map((name) => [`sub/${name}.bin`, pointer])),
      'sub/real.bin': 'it was added before',
      'elsewhere.bin': pointer,
    });
    const { error, log } = await remote.checkout(t, repo.url, commit);
    assert.equal(error, null);
    assert.match(
      log,
      /^warning: Files in Git LFS are not fetched; .*: sub\/a\.bin, sub\/b\.bin, sub\/d\.bin and 1 more\./m,
    );
  });

  test('reports a disk that accepts no more files as full', async (t) => {
    const repo = await remote.repository('no-inode');
    const commit = await repo.commit();
    const folder = await mkdtemp(join(remote.root, 'full-'));
    // Three inodes: the file system's root, the folder below and the checkout's. None is left for git's configuration.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'tmpfs', folder]);
    t.after(() => execFileSync('umount', [folder]));
    const { signal } = new AbortController();
    const checkedOut = makeSourceControl({ privateDirectory: join(folder, 'private') }).checkout({
      source: { origin: 'external', url: repo.url, branch: 'main' },
      commit,
      directory: join(folder, 'checkout'),
      signal,
      log: { write: () => undefined, line: () => undefined },
    });
    await assert.rejects(checkedOut, { code: 'ORK_DISK_FULL', message: /no space left on device/ });
  });
});

function readProcFile(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // a process that has just ended
  }
}
