import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  explainGitFailure,
  gitConfigFile,
  gitEnvironment,
  hardenedGitConfig,
  writePrivateFile,
} from '../../protocol/git-safety.ts';
import { until } from '../../test/harness/until.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { sealRepositoryAuth } from '../store/projects.ts';
import { vetRemote } from './vetted-remote.ts';

/** The servers of these tests are on loopback, which only the operator of a hub can allow. */
const LOOPBACK = { ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.0/8' };

async function hub(t: TestContext, env: Readonly<Record<string, string>> = LOOPBACK): Promise<TestHub> {
  const started = await startTestHub({ env });
  t.after(() => started.stop());
  return started;
}

/** Switches the hub's project to an external repository. */
async function external(on: TestHub, url: string, auth?: { username: string; token: string }): Promise<void> {
  await on.deps.db
    .updateTable('project')
    .set({
      origin: 'external',
      repository_url: url,
      repository_auth: auth === undefined ? null : sealRepositoryAuth(on.deps.sealer, on.projectId, auth),
    })
    .execute();
}

/** Another hub's remote serves as a real, private, external repository. */
async function forge(
  t: TestContext,
  settings?: Readonly<Record<string, string>>,
): Promise<{ on: TestHub; url: string; push(branch: string): Promise<string> }> {
  const on = await hub(t, settings);
  await on.deps.git.createRepository(on.projectId);
  const url = `${on.url}/git/shop.git`;
  const work = join(on.folder, 'work');
  mkdirSync(work);
  const env = { PATH: '/usr/bin:/bin', HOME: work, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1' };
  const git = (...argv: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      execFile('git', argv, { cwd: work, env }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
  await git('init', '-q', '-b', 'main', '.');
  return {
    on,
    url,
    async push(branch) {
      writeFileSync(join(work, 'file'), branch);
      await git('add', '-A');
      await git('-c', 'user.name=a', '-c', 'user.email=a@b.c', 'commit', '-q', '--allow-empty', '-m', branch);
      await git('push', '-q', url.replace('://', `://x:${on.account.token}@`), `HEAD:refs/heads/${branch}`);
      return (await git('rev-parse', 'HEAD')).trim();
    },
  };
}

const resolve = async (on: TestHub): Promise<string> => (await on.deps.resolver.resolve(on.environmentId)).commit;

test('the branch of a private external repository is resolved with its token', async (t) => {
  const there = await forge(t);
  const on = await hub(t);
  await external(on, there.url, { username: 'git', token: there.on.account.token });
  await assert.rejects(resolve(on), { code: 'ORK_REPO_EMPTY' });
  await there.push('next');
  await assert.rejects(resolve(on), (error: { code: string; evidence: string[] }) => {
    assert.equal(error.code, 'ORK_BRANCH_UNKNOWN');
    assert.deepEqual(error.evidence, ['branch: next']);
    return true;
  });
  const sha = await there.push('main');
  assert.equal(await resolve(on), sha);
  assert.deepEqual(readdirSync(join(on.folder, 'git-home')), [], 'no config stays behind');
});

test('a wrong or missing token and an unknown repository yield ORK_REPO_ACCESS', async (t) => {
  const there = await forge(t);
  const on = await hub(t);
  await external(on, there.url, { username: 'git', token: 'wrong' });
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ACCESS' });
  await external(on, there.url);
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ACCESS' });
  await external(on, there.url.replace('shop', 'other'), { username: 'git', token: there.on.account.token });
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ACCESS' });
});

test('an unreachable server yields ORK_REPO_UNREACHABLE, and the API reports it before it creates a deployment', async (t) => {
  const on = await hub(t);
  await external(on, 'http://127.0.0.1:1/team/app');
  const answer = await on.api('POST', '/projects/shop/environments/production/deployments', {});
  assert.equal(answer.status, 502);
  assert.equal(((await answer.json()) as { code: string }).code, 'ORK_REPO_UNREACHABLE');
  assert.deepEqual(await on.deps.db.selectFrom('deployment').selectAll().execute(), []);
});

test('the hub sends no request to loopback, metadata or forbidden private addresses, however they are written', async (t) => {
  const on = await hub(t, {});
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (const host of ['127.0.0.1', '127.1', '0x7f000001', '2130706433', 'localhost', '169.254.169.254']) {
    await external(on, `http://${host}:${port}/x`);
    await assert.rejects(resolve(on), { code: 'ORK_REPO_ADDRESS', message: /sends nothing there/ }, host);
  }
  assert.equal(asked, 0);
  const closed = await hub(t, { ORKESTR_HUB_NOTIFY_PRIVATE: '0' });
  await external(closed, 'http://10.99.99.99:1/x');
  await assert.rejects(resolve(closed), { code: 'ORK_REPO_ADDRESS', message: /in a private network/ });
});

test('the hub may fetch from its own repositories', async (t) => {
  const there = await forge(t, {});
  const sha = await there.push('main');
  const made = await there.on.api('POST', '/projects', {
    slug: 'same',
    repository: { url: there.url, auth: { username: 'git', token: there.on.account.token } },
  });
  assert.equal(made.status, 201);
  const deployed = await there.on.api('POST', '/projects/same/environments/production/deployments');
  assert.partialDeepStrictEqual(await deployed.json(), { commit: sha });
});

test('the hub follows a redirect of a public repository only to addresses that it may request', async (t) => {
  const on = await hub(t, { ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1' });
  const sha = 'c'.repeat(40);
  const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
  const refs = `${line('# service=git-upload-pack\n')}0000${line(`${sha} refs/heads/main\0agent=x\n`)}0000`;
  const seen: string[] = [];
  let location = '';
  const server = createServer((request, response) => {
    seen.push(`${request.headers.host} ${request.url}`);
    if (request.url?.startsWith('/new/')) {
      response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
      response.end(refs);
    } else response.writeHead(301, { location: `${location}/info/refs?service=git-upload-pack` }).end();
  });
  await new Promise<void>((done) => server.listen(0, '0.0.0.0', done));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  await external(on, `http://127.0.0.1:${port}/old/app`);
  location = '/new/app.git';
  assert.equal(await resolve(on), sha);
  seen.length = 0;
  location = `http://127.0.0.2:${port}/new/app.git`;
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ADDRESS' });
  location = `http://127.0.0.1:${port}/old/app`;
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ACCESS' }, 'round and round');
  await external(on, `http://127.0.0.1:${port}/old/app`, { username: 'git', token: 'secret' });
  location = '/new/app.git';
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ACCESS' });
  assert.deepEqual(
    seen.filter((one) => one.startsWith('127.0.0.2') || one.includes('/new/')),
    [],
  );
});

test('git connects to the pinned addresses that were checked', async (t) => {
  const on = await hub(t);
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const remote = await vetRemote(on.deps, `http://127.0.0.1:${port}/x`, AbortSignal.timeout(5_000));
  // A name that does not resolve, pinned in the same way as in vetRemote.
  const config = remote.config.map((line) => line.replace('=127.0.0.1:', '=git.invalid:'));
  const argv = [...config.flatMap((line) => ['-c', line]), 'ls-remote', `http://git.invalid:${port}/x`];
  const env = gitEnvironment({ home: on.folder, allowHttp: true });
  await new Promise<void>((done) => execFile('git', argv, { env }, () => done()));
  assert.equal(asked > 0, true);
});

test('hostile URLs and branches in the database are refused', async (t) => {
  const on = await hub(t);
  for (const url of ['--upload-pack=touch x', 'ext::sh -c id', 'file:///etc', 'https://u:p@host/x', '/etc']) {
    await external(on, url);
    await assert.rejects(resolve(on), { code: 'ORK_URL_REFUSED' }, url);
  }
  await external(on, 'http://127.0.0.1:1/x');
  for (const branch of ['--exec=x', '-x', 'a..b', 'a b', '*']) {
    await on.deps.db.updateTable('environment').set({ branch }).execute();
    await assert.rejects(resolve(on), { code: 'ORK_REF_REFUSED' }, branch);
  }
});

test('the token of an external repository appears in no arguments and no environment while git runs', async (t) => {
  const on = await hub(t);
  const token = 'canary-7f3a9c';
  const encoded = Buffer.from(`git:${token}`).toString('base64');
  let seen: string | undefined;
  let found = '';
  const server = createServer((request, response) => {
    seen = request.headers.authorization;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      for (const file of ['cmdline', 'environ']) {
        const text = readProc(`/proc/${pid}/${file}`);
        if (text.includes(token) || text.includes(encoded)) found += `${pid}/${file} `;
      }
    }
    response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  await external(on, `http://127.0.0.1:${(server.address() as AddressInfo).port}/app`, { username: 'git', token });
  await assert.rejects(resolve(on), { code: 'ORK_REPO_ACCESS' });
  assert.equal(seen, `Basic ${encoded}`);
  assert.equal(found, '');
});

test('lookups of an unresponsive repository are limited, and a token that a killed hub left is deleted', async (t) => {
  const on = await hub(t);
  const left = join(on.folder, 'git-home', 'resolve-killed');
  mkdirSync(left);
  writeFileSync(join(left, 'config'), 'a token');
  await on.deps.git.stop();
  await on.deps.git.start();
  assert.deepEqual(readdirSync(join(on.folder, 'git-home')), []);

  const silent = createServer(() => undefined);
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
  await external(on, `http://127.0.0.1:${(silent.address() as AddressInfo).port}/app`);
  const asked = Array.from({ length: 6 }, () => resolve(on).catch((error: { code: string }) => error.code));
  await until(() => asking(on) === 4);
  const other = await on.api('POST', '/projects', { slug: 'other', repository: { url: 'http://127.0.0.1:1/x' } });
  assert.equal(other.status, 201);
  const deployed = await on.api('POST', '/projects/other/environments/production/deployments');
  assert.equal(((await deployed.json()) as { code: string }).code, 'ORK_REPO_UNREACHABLE', 'others have theirs');
  silent.closeAllConnections();
  silent.close();
  const codes = await Promise.all(asked);
  assert.deepEqual(codes.filter((code) => code === 'ORK_TOO_MANY_REQUESTS').length, 2);
});

/** Number of lookups in progress: each has a folder of its own. */
const asking = (on: TestHub): number => readdirSync(join(on.folder, 'git-home')).length;

function readProc(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended, or is not ours to read
  }
}

test("the hub's own remote reports a missing branch, and checks a requested commit", async (t) => {
  const there = await forge(t);
  const { on } = there;
  await assert.rejects(resolve(on), { code: 'ORK_REPO_EMPTY' });
  const sha = await there.push('next');
  await assert.rejects(resolve(on), { code: 'ORK_BRANCH_UNKNOWN' });
  await on.deps.resolver.checkCommit(on.environmentId, sha);
  await assert.rejects(on.deps.resolver.checkCommit(on.environmentId, 'b'.repeat(40)), { code: 'ORK_COMMIT_UNKNOWN' });
});

test('a branch that changes during the lookup is the branch that is deployed', async (t) => {
  const there = await forge(t);
  const { on } = there;
  await there.push('main');
  const commit = await there.push('next');
  const real = { ...on.deps.resolver };
  Object.assign(on.deps.resolver, {
    async resolve(environmentId: string) {
      await on.api('PATCH', '/projects/shop/environments/production', { branch: 'next' });
      return real.resolve(environmentId);
    },
  });
  const asked = await on.api('POST', '/projects/shop/environments/production/deployments');
  assert.partialDeepStrictEqual(await asked.json(), { commit, branch: 'next' });
});

test("git's messages about a missing commit or branch are recognised", async (t) => {
  const there = await forge(t);
  await there.push('main');
  const home = join(there.on.folder, 'home');
  mkdirSync(home);
  const credentials = { url: there.url, username: 'x', token: there.on.account.token };
  writePrivateFile(gitConfigFile(home), hardenedGitConfig({ allowHttp: true, credentials }));
  const env = gitEnvironment({ home, allowHttp: true });
  execFileSync('git', ['init', '-q', '.'], { cwd: home, env });
  const fails = (...argv: string[]): Promise<string> =>
    new Promise((done) => {
      execFile('git', argv, { cwd: home, env }, (_error, stdout, stderr) => done(stdout + stderr));
    });
  const cases = [
    ['ORK_COMMIT_UNKNOWN', 'fetch', '--depth', '1', there.url, 'b'.repeat(40)],
    ['ORK_BRANCH_UNKNOWN', 'fetch', '--depth', '1', there.url, 'refs/heads/nope'],
    ['ORK_BRANCH_UNKNOWN', 'clone', '--depth', '1', '--branch', 'nope', there.url, 'clone'],
  ] as const;
  for (const [code, ...argv] of cases) {
    const out = await fails(...argv);
    assert.equal(explainGitFailure(out), code, out);
  }
});
