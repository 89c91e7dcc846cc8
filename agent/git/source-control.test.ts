/** Real git against a real HTTP git server (git http-backend) of this test's own. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { SimpleGit } from 'simple-git';
import type { OrkestrError } from '../../protocol/errors.ts';
import type { Source } from '../../protocol/job.ts';
import { GIT_ENV, serveGit } from '../../test/harness/git-http.ts';
import { fetchCommit } from './fetch.ts';
import { makeSourceControl, type SourceControlOptions } from './source-control.ts';

const run = promisify(execFile);
const TOKEN = 'canary-token-9f8e7d';

let root = '';
let port = 0;
const server = createServer((request, response) => serve(request, response));
/** What the server does beside serving: set by a test, for one test. */
let onRequest: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;

function serve(request: IncomingMessage, response: ServerResponse): void {
  if (onRequest?.(request, response) === true) return;
  const url = new URL(request.url ?? '/', 'http://x');
  const expected = `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}`;
  if (url.pathname.startsWith('/private') && request.headers.authorization !== expected) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    return;
  }
  // Without it the old protocol is spoken, which hands out advertised commits only.
  serveGit(root, request, response, url.pathname.startsWith('/old') ? { GIT_PROTOCOL: '' } : {});
}

/** A repository that is served as /NAME.git, with a work tree to commit from. */
async function repository(name: string): Promise<{
  url: string;
  tree: string;
  git(...args: string[]): string;
  commit(files?: Readonly<Record<string, string>>): Promise<string>;
}> {
  const tree = join(root, `${name}-tree`);
  const bare = join(root, `${name}.git`);
  await mkdir(dirname(tree), { recursive: true });
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', bare], { env: GIT_ENV });
  execFileSync('git', ['init', '-q', '-b', 'main', tree], { env: GIT_ENV });
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=a@b', ...args], {
      cwd: tree,
      env: GIT_ENV,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  return {
    url: `http://127.0.0.1:${port}/${name}.git`,
    tree,
    git,
    async commit(files = {}) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(tree, path)), { recursive: true });
        await writeFile(join(tree, path), text);
      }
      git('add', '-A');
      git('commit', '-q', '--allow-empty', '-m', 'Say hi\n\nbody');
      git('push', '-q', '--force', bare, 'HEAD:main');
      return git('rev-parse', 'HEAD');
    },
  };
}

interface CheckoutOptions extends Partial<Omit<SourceControlOptions, 'privateDirectory'>> {
  readonly origin?: Source['origin'];
  readonly branch?: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** Checks out into a fresh folder. The log and the folder for looking at. */
async function checkout(t: TestContext, url: string, commit: string, options: CheckoutOptions = {}) {
  const folder = await mkdtemp(join(root, 'out-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const privateDirectory = join(folder, 'private');
  const directory = join(folder, 'checkout');
  let log = '';
  const { origin = 'external', branch = 'main', token, signal = new AbortController().signal, ...settings } = options;
  const source = {
    origin,
    url,
    branch,
    ...(token === undefined ? {} : { auth: { username: 'x', token } }),
  };
  try {
    const result = await makeSourceControl({ privateDirectory, ...settings }).checkout({
      source,
      commit,
      directory,
      signal,
      log: { write: (bytes) => void (log += Buffer.from(bytes).toString()), line: (line) => void (log += `${line}\n`) },
    });
    return { result, directory, log, error: null };
  } catch (error) {
    return { result: null, directory, log, error: error as OrkestrError };
  } finally {
    // Success or not: no config file with a token stays.
    assert.deepEqual(existsSync(privateDirectory) ? readdirSync(privateDirectory) : [], []);
  }
}

describe('clone', () => {
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'ork-git-'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await rm(root, { recursive: true, force: true });
  });

  test('exactly the asked commit is checked out, without history, with its facts', async (t) => {
    const repo = await repository('plain');
    const first = await repo.commit({ 'a.txt': 'one', 'sub/b.txt': '12345' });
    await repo.commit({ 'a.txt': 'two' });
    const { result, directory } = await checkout(t, repo.url, first);
    assert.ok(result);
    const { committedAt = '', ...facts } = result;
    assert.deepEqual(facts, { commit: first, subject: 'Say hi', author: 'Ann', files: 2, bytes: 8 });
    assert.ok(Math.abs(Date.now() - Date.parse(committedAt)) < 60_000, committedAt);
    assert.equal(await readFile(join(directory, 'a.txt'), 'utf8'), 'one');
    assert.deepEqual((await readdir(directory)).sort(), ['a.txt', 'sub']);
  });

  test('what an earlier attempt left in the folder is replaced', async () => {
    const repo = await repository('again');
    const commit = await repo.commit({ 'a.txt': 'one' });
    const folder = await mkdtemp(join(root, 'out-'));
    await writeFile(join(folder, 'stale'), '');
    const sourceControl = makeSourceControl({ privateDirectory: join(root, 'private-again') });
    const log = { write: () => undefined, line: () => undefined };
    const source = { origin: 'hub' as const, url: repo.url, branch: 'main' };
    await sourceControl.checkout({ source, commit, directory: folder, log, signal: new AbortController().signal });
    assert.deepEqual(await readdir(folder), ['a.txt']);
  });

  test('a repository of the hub is fetched from where this host reaches the hub, with its token', async (t) => {
    const repo = await repository('private-of-hub');
    const commit = await repo.commit({ 'a.txt': 'one' });
    const [hubUrl, url] = [`http://127.0.0.1:${port}`, 'https://hub.invalid/private-of-hub.git'];
    const { error, result, log } = await checkout(t, url, commit, { origin: 'hub', hubUrl, token: TOKEN });
    assert.equal(error, null);
    assert.equal(result?.commit, commit);
    assert.ok(log.includes(`of ${repo.url} (main)`), log);
    const elsewhere = await checkout(t, url, commit, { origin: 'external', hubUrl, token: TOKEN });
    assert.equal(elsewhere.error?.code, 'ORK_REPO_UNREACHABLE', 'of others it is told where they are');
    const unsafe = await checkout(t, 'https://hub.invalid/a.git?x', commit, { origin: 'hub', hubUrl });
    assert.equal(unsafe.error?.code, 'ORK_URL_REFUSED');
  });

  test('a private repository opens with its token, which is in no argv, environment, file name, log or leftover', async (t) => {
    const repo = await repository('private');
    const commit = await repo.commit({ 'a.txt': 'one' });
    const seen: string[] = [];
    onRequest = () => {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        for (const file of ['cmdline', 'environ']) seen.push(readProcFile(pid, file));
      }
      return false;
    };
    t.after(() => {
      onRequest = undefined;
    });
    const { result, log, directory } = await checkout(t, repo.url, commit, { token: TOKEN });
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

  test('without a token, or with a wrong one, access is what fails, and no one is asked for a password', async (t) => {
    const repo = await repository('private-too');
    const commit = await repo.commit({ a: '1' });
    for (const token of [undefined, 'wrong-token']) {
      const { error } = await checkout(t, repo.url, commit, token === undefined ? {} : { token });
      assert.equal(error?.code, 'ORK_REPO_ACCESS');
      assert.ok(!JSON.stringify([error?.message, error?.evidence]).includes('wrong-token'));
    }
  });

  test('each refusal of a remote has its code', async (t) => {
    const repo = await repository('codes');
    const commit = await repo.commit({ a: '1' });
    const unknown = 'a'.repeat(40);
    const empty = await repository('empty');
    const closed = `http://127.0.0.1:1/x.git`;
    const cases: [string, string, string, string][] = [
      [repo.url, unknown, 'main', 'ORK_COMMIT_UNKNOWN'],
      [repo.url, unknown, 'other', 'ORK_BRANCH_UNKNOWN'],
      [empty.url, unknown, 'main', 'ORK_REPO_EMPTY'],
      [`http://127.0.0.1:${port}/none.git`, commit, 'main', 'ORK_REPO_ACCESS'],
      [closed, commit, 'main', 'ORK_REPO_UNREACHABLE'],
    ];
    for (const [url, sha, branch, code] of cases) {
      assert.equal((await checkout(t, url, sha, { branch })).error?.code, code, `${url} ${branch}`);
    }
  });

  test('hostile URLs, branches and commits are refused before git runs', async (t) => {
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
      assert.equal((await checkout(t, url, sha)).error?.code, 'ORK_URL_REFUSED', url);
    }
    const url = 'https://host.invalid/x.git';
    for (const branch of ['--upload-pack=x', '-b', 'a..b', 'a b', '']) {
      assert.equal((await checkout(t, url, sha, { branch })).error?.code, 'ORK_REF_REFUSED', branch);
    }
    for (const commit of ['HEAD', '--all', sha.slice(1), `${sha}\n`]) {
      assert.equal((await checkout(t, url, commit)).error?.code, 'ORK_REF_REFUSED', commit);
    }
  });

  test('a remote that hands out no single commits is looked through, however deep', async (t) => {
    const repo = await repository('old');
    const first = await repo.commit({ a: 'first' });
    for (let count = 0; count < 60; count += 1) repo.git('commit', '-q', '--allow-empty', '-m', 'more');
    await repo.commit({ a: 'last' });
    const { result, directory, log } = await checkout(t, repo.url, first);
    assert.equal(result?.commit, first);
    assert.equal(await readFile(join(directory, 'a'), 'utf8'), 'first');
    assert.match(log, /searching the branch/);
  });

  test('a fetch says something, as simple-git waits 50 ms for a command that does not', async (t) => {
    const repo = await repository('talks');
    const commit = await repo.commit({ a: '1' });
    const folder = await mkdtemp(join(root, 'fetch-'));
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

  test('a name that is not UTF-8 is refused and told, of a file, in a folder and of a link; other names stay', async (t) => {
    const named = [
      ['caf\xe9.txt', (path: Buffer) => writeFile(path, '')],
      ['d\xe9/a', (path: Buffer) => mkdir(path.subarray(0, -2)).then(() => writeFile(path, ''))],
      ['\xff', (path: Buffer) => symlink('/etc/shadow', path)],
    ] as const;
    for (const [index, [name, make]] of named.entries()) {
      const repo = await repository(`names-${index}`);
      await make(Buffer.concat([Buffer.from(`${repo.tree}/`), Buffer.from(name, 'latin1')]));
      const { error } = await checkout(t, repo.url, await repo.commit({ a: '1' }));
      assert.equal(error?.code, 'ORK_REPO_UNSAFE', name);
      assert.match(error.message, /^The name of .* is not UTF-8\.$/);
    }
    const good = await repository('names-good');
    assert.equal((await checkout(t, good.url, await good.commit({ 'café/日本.txt': '1' }))).error, null);
  });

  test('links that lead out of the repository are refused, others stay', async (t) => {
    const escapes = ['/etc/passwd', '../../x', 'sub/../../../x', 'loop/../../../x'];
    for (const [index, target] of escapes.entries()) {
      const repo = await repository(`links-${index}`);
      await mkdir(join(repo.tree, 'sub'));
      await symlink(target, join(repo.tree, 'sub', 'bad'));
      assert.equal((await checkout(t, repo.url, await repo.commit({ a: '1' }))).error?.code, 'ORK_REPO_UNSAFE', target);
    }
    const detour = await repository('links-detour');
    await mkdir(join(detour.tree, 'p/q'), { recursive: true });
    await symlink('../..', join(detour.tree, 'p/q/up'));
    await symlink('p/q/up/../x', join(detour.tree, 'bad')); // by its words inside, in truth not
    assert.equal((await checkout(t, detour.url, await detour.commit({ a: '1' }))).error?.code, 'ORK_REPO_UNSAFE');
    const good = await repository('links-good');
    await mkdir(join(good.tree, 'sub'));
    await symlink('../a', join(good.tree, 'sub', 'fine'));
    await symlink('nowhere/yet', join(good.tree, 'dangling'));
    await symlink('ring', join(good.tree, 'ring'));
    assert.equal((await checkout(t, good.url, await good.commit({ a: '1' }))).error, null);
  });

  test('too many files, too many bytes: refused before they are written', async (t) => {
    const repo = await repository('large');
    const commit = await repo.commit(
      Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, 'x'.repeat(5000)])),
    );
    const many = await checkout(t, repo.url, commit, { limits: { files: 29 } });
    assert.match(`${many.error?.code} ${many.error?.message}`, /ORK_REPO_TOO_LARGE .*29 files/);
    assert.deepEqual(await readdir(many.directory), ['.git']);
    const big = await checkout(t, repo.url, commit, { limits: { bytes: 149_999 } });
    assert.equal(big.error?.code, 'ORK_REPO_TOO_LARGE');
    assert.equal((await checkout(t, repo.url, commit, { limits: { files: 30, bytes: 150_000 } })).error, null);
  });

  test('a tree bomb is refused: a few objects that name billions of files', async (t) => {
    const repo = await repository('bomb');
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
    repo.git('push', '-q', '--force', join(root, 'bomb.git'), `${commit}:main`);
    assert.equal((await checkout(t, repo.url, commit)).error?.code, 'ORK_REPO_TOO_LARGE');
  });

  test('objects that outgrow the limit on disk end the fetch while it runs', async (t) => {
    const repo = await repository('heavy');
    // More objects than git takes out of a pack one by one: the pack itself is written, as it comes.
    const noise = (): string => randomBytes(15_000).toString('base64');
    const commit = await repo.commit(Object.fromEntries(Array.from({ length: 150 }, (_, index) => [index, noise()])));
    // The end of the pack never comes: only the watch ends the fetch.
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
    onRequest = slow;
    t.after(() => {
      onRequest = undefined;
    });
    const { error, directory } = await checkout(t, repo.url, commit, { limits: { bytes: 1_000_000 } });
    assert.equal(error?.code, 'ORK_REPO_TOO_LARGE');
    assert.deepEqual(await readdir(directory), ['.git']);
  });

  test('a server that never answers runs into the time limit, a cancel ends it at once', async (t) => {
    onRequest = () => true;
    t.after(() => {
      onRequest = undefined;
    });
    const url = `http://127.0.0.1:${port}/silent.git`;
    const slow = await checkout(t, url, 'a'.repeat(40), { limits: { timeoutMs: 400 } });
    assert.equal(slow.error?.code, 'ORK_REPO_UNREACHABLE');
    const signal = AbortSignal.timeout(300);
    assert.equal((await checkout(t, url, 'a'.repeat(40), { signal })).error?.code, 'ORK_CANCELLED');
  });

  test('hooks, filters, attributes and submodules of a repository run nothing', async (t) => {
    const canary = join(root, 'canary');
    const repo = await repository('hostile');
    const payload = `touch ${canary}`;
    await mkdir(join(repo.tree, 'hooks'));
    await writeFile(join(repo.tree, 'hooks/post-checkout'), `#!/bin/sh\n${payload}\n`);
    await chmod(join(repo.tree, 'hooks/post-checkout'), 0o755);
    await mkdir(join(repo.tree, 'module')); // without it `git add` takes the submodule for deleted
    repo.git('update-index', '--add', '--cacheinfo', `160000,${'b'.repeat(40)},module`);
    const commit = await repo.commit({
      '.gitattributes': '* filter=evil diff=evil merge=evil\n*.bin filter=lfs\n',
      '.gitconfig': `[core]\n\thooksPath = hooks\n\tfsmonitor = ${payload}\n[filter "evil"]\n\tsmudge = ${payload}\n`,
      '.gitmodules': `[submodule "module"]\n\tpath = module\n\turl = ext::sh -c '${payload}'\n`,
      'large.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n',
    });
    const tree = repo.git('ls-tree', commit);
    const { error, directory, log } = await checkout(t, repo.url, commit);
    assert.equal(error, null);
    assert.ok(!existsSync(canary));
    assert.match(await readFile(join(directory, 'large.bin'), 'utf8'), /^version https:\/\/git-lfs/);
    assert.match(tree, /160000 commit/);
    assert.match(log, /^warning: Submodules are not fetched, .*: module\. /m);
  });

  test('files that are only pointers into Git LFS are named', async (t) => {
    const repo = await repository('lfs');
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'1'.repeat(64)}\nsize 1\n`;
    const commit = await repo.commit({
      'sub/.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
      ...Object.fromEntries(['a', 'b', 'é', 'd'].map((name) => [`sub/${name}.bin`, pointer])),
      'sub/real.bin': 'it was added before',
      'elsewhere.bin': pointer,
    });
    const { error, log } = await checkout(t, repo.url, commit);
    assert.equal(error, null);
    assert.match(
      log,
      /^warning: Files in Git LFS are not fetched; .*: sub\/a\.bin, sub\/b\.bin, sub\/d\.bin and 1 more\./m,
    );
  });

  test('a disk that takes no more files is told as one', async (t) => {
    const repo = await repository('no-inode');
    const commit = await repo.commit();
    const folder = await mkdtemp(join(root, 'full-'));
    // Itself, the folder below and that of the checkout: none is left for git's configuration.
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

  test('a submodule that would run a command is refused with its reason', async (t) => {
    const repo = await repository('hostile-update');
    const commit = await repo.commit({
      '.gitmodules': '[submodule "m"]\n\tpath = m\n\turl = https://x/y\n\tupdate = !true\n',
    });
    const { error } = await checkout(t, repo.url, commit);
    assert.equal(error?.code, 'ORK_REPO_UNSAFE');
    assert.match(error.message, /disallowed submodule update/);
  });
});

function readProcFile(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // a process that has just ended
  }
}
