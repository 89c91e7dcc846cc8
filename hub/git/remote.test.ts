import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAccount } from '../setup.ts';
import { makeCloneToken } from '../auth/clone-token.ts';
import type { TestHub } from '../test-hub.ts';
import { hub } from '../test-hub.ts';
import { checkout, commit, deployments, git, remote } from './test-git.ts';

/** Sends raw bytes (fetch would normalize the path) and reads the whole answer. */
function raw(on: TestHub, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(new URL(on.url).port), '127.0.0.1', () => socket.write(request));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (!request.includes('Connection: close')) socket.end();
    });
    socket.on('error', reject).on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

test('a push creates a deployment of the mapped environment and says where to follow it', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  const sha = await commit(folder);
  const pushed = await git(folder, 'push', remote(on), 'main');
  assert.ok(pushed.ok, pushed.out);
  const [deployment] = await deployments(on);
  assert.equal(deployment?.commit, sha);
  assert.equal(deployment?.trigger, 'push');
  assert.equal(deployment?.user_id, on.account.userId);
  assert.match(pushed.out, new RegExp(`remote: orkestr: deployment ${deployment?.id} of shop/production queued`));
  assert.match(pushed.out, /remote: waiting for the host vps-1, which is offline/);
  assert.match(pushed.out, new RegExp(`remote: follow it: ${on.url}/deployments/${deployment?.id}`));
  assert.deepEqual(await on.deps.resolver.resolve(on.environmentId), { commit: sha, branch: 'main' });
});

test('each environment of a pushed branch is deployed; a push to another branch lists the mapped ones', async (t) => {
  const on = await hub(t);
  await on.addEnvironment('staging', 'main');
  await on.addEnvironment('preview', 'next');
  const folder = await checkout(on);
  await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  assert.equal((await deployments(on)).length, 2);
  const other = await git(folder, 'push', remote(on), 'main:feature');
  assert.match(other.out, /remote: orkestr: no environment deploys the branch feature/);
  assert.match(other.out, /remote: preview deploys next/);
  const both = await git(folder, 'push', remote(on), 'main:next', ':feature');
  assert.ok(both.ok, both.out);
  assert.equal((await deployments(on)).length, 3);
});

test('a push reaches the agent, whose token can fetch that commit while the deployment runs, and cannot push', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const folder = await checkout(on);
  const sha = await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  const job = await agent.job();
  assert.ok(job.kind === 'deploy' && job.source.auth);
  assert.equal(job.commit, sha);
  assert.equal(job.source.url, `${on.url}/git/${on.projectId}.git`);
  await git(folder, 'commit', '-q', '--amend', '-m', 'another');
  await git(folder, 'push', '-f', remote(on), 'main'); // the commit is no longer on the branch
  const { token } = job.source.auth;
  const clone = await checkout(on, 'clone');
  const url = remote(on, token, on.projectId);
  for (const version of ['0', '2']) {
    const fetched = await git(clone, '-c', `protocol.version=${version}`, 'fetch', '-q', '--depth', '1', url, sha);
    assert.ok(fetched.ok, fetched.out);
  }
  assert.equal((await git(clone, 'rev-parse', 'FETCH_HEAD')).out.trim(), sha);

  const push = await git(folder, 'push', url, 'main:main');
  assert.match(push.out, /403/);
  await agent.live(job);
  const late = await git(clone, 'fetch', url, sha);
  assert.match(late.out, /403/);
});

test('a clone token is valid for its own project only, for as long as its deployment is open', async (t) => {
  const on = await hub(t);
  const id = await on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: 'manual',
    commit: 'a'.repeat(40),
    branch: 'main',
    userId: null,
  });
  const claims = { projectId: on.projectId, deploymentId: id };
  const token = makeCloneToken(on.deps.sealer, claims);
  const folder = await checkout(on);
  assert.ok((await git(folder, 'ls-remote', remote(on, token, on.projectId))).ok);
  const elsewhere = makeCloneToken(on.deps.sealer, { ...claims, projectId: id });
  assert.match((await git(folder, 'ls-remote', remote(on, elsewhere, on.projectId))).out, /403/);
  on.pass(7 * 24 * 3600 * 1000);
  assert.ok((await git(folder, 'ls-remote', remote(on, token, on.projectId))).ok);
  await on.deps.scheduler.cancel(id);
  assert.match((await git(folder, 'ls-remote', remote(on, token, on.projectId))).out, /403/);
});

test('a missing or wrong token is refused, and projects of other teams are not found', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  const bare = `${on.url}/git/shop.git`;
  assert.match((await git(folder, 'ls-remote', bare)).out, /could not read Username/);
  const answer = await fetch(`${bare}/info/refs?service=git-upload-pack`);
  assert.equal(answer.status, 401);
  assert.match(answer.headers.get('www-authenticate') ?? '', /^Basic /);
  assert.match((await git(folder, 'push', remote(on, 'ork_wrong'), 'main')).out, /Authentication failed/);
  const other = await createAccount(on.deps.db, on.deps.clock, { email: 'b@example.com', team: 'Other', plan: 'pro' });
  assert.match((await git(folder, 'push', remote(on, other.token), 'main')).out, /not found/);
  assert.match((await git(folder, 'push', remote(on, other.token, on.projectId), 'main')).out, /not found/);
  assert.deepEqual(await deployments(on), []);
});

test('a token with only the read scope can clone but not push', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  const made = await on.api('POST', '/tokens', { name: 'r', scopes: ['read'] });
  const { token } = (await made.json()) as { token: string };
  assert.ok((await git(folder, 'ls-remote', remote(on, token))).ok);
  assert.match((await git(folder, 'push', remote(on, token), 'main:other')).out, /403/);
});

test('only the three smart HTTP endpoints answer', async (t) => {
  const on = await hub(t);
  await on.deps.git.createRepository(on.projectId);
  const authorization = `Basic ${Buffer.from(`x:${on.account.token}`).toString('base64')}`;
  const paths = [
    '/git/shop.git/HEAD',
    '/git/shop.git/config',
    '/git/shop.git/objects/info/packs',
    '/git/shop.git/info/refs',
    '/git/shop.git/info/refs?service=git-upload-archive',
    '/git/../hub.sqlite',
    '/git/shop.git/../../hub.sqlite',
    '/git/shop.git/%2e%2e/git-upload-pack',
    '/git/SHOP.git/info/refs?service=git-upload-pack',
    '/git/shop/info/refs?service=git-upload-pack',
    '/git/-.git/info/refs?service=git-upload-pack',
  ];
  for (const path of paths) {
    assert.match(
      await raw(on, `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`),
      /^HTTP\/1.1 404/,
      path,
    );
  }
  const post = `POST /git/shop.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nAuthorization: ${authorization}\r\n\r\n`;
  assert.match(await raw(on, post), /^HTTP\/1.1 404/);
  const good = `GET /git/shop.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${authorization}\r\n\r\n`;
  assert.match(await raw(on, good), /^HTTP\/1.1 200/);
});

test('a push with Git LFS gets the error, in the format of its client, that LFS files are not stored', async (t) => {
  const on = await hub(t);
  for (const path of ['objects/batch', 'locks/verify', 'locks']) {
    const answer = await fetch(`${on.url}/git/shop.git/info/lfs/${path}`, { method: 'POST', body: '{}' });
    assert.equal(answer.status, 404, path);
    assert.equal(answer.headers.get('content-type'), 'application/vnd.git-lfs+json');
    const { message } = (await answer.json()) as { message: string };
    assert.match(message, /keeps no files of Git LFS.*git lfs migrate export.*GIT_LFS_SKIP_PUSH=1/);
  }
});

test("folders and socket with secrets are accessible to their owner only, and the hook needs the push's secret", async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  for (const name of ['git', 'git-hooks', 'git-home']) {
    assert.equal(statSync(join(on.folder, name)).mode & 0o077, 0, name);
  }
  assert.equal(statSync(join(on.folder, 'git-hook.sock')).mode & 0o077, 0);
  const answer = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(join(on.folder, 'git-hook.sock'), () =>
      socket.end(`guess\n${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/main\n`),
    );
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
  });
  assert.equal(answer, '', 'a stranger on the socket is not even answered');
  assert.equal((await deployments(on)).length, 1);
});

test('a hub whose state folder has a long path creates the push socket elsewhere', async (t) => {
  const on = await hub(t);
  const { PushHook } = await import('./push-hook.ts');
  const hooksFolder = join(on.folder, 'x'.repeat(100), "it's a folder");
  await mkdir(hooksFolder, { recursive: true });
  const hook = new PushHook({
    hooksFolder,
    missed: { folder: on.folder },
    log: on.deps.log,
    onPush: () => Promise.resolve(['heard']),
  });
  await hook.start();
  const path = await hook.during({ projectId: 'p', userId: 'u' }, (env) => Promise.resolve(env.ORKESTR_PUSH_SOCKET));
  assert.ok(Buffer.byteLength(path ?? '') < 100);
  await hook.stop();
  assert.throws(() => statSync(join(path ?? '', '..')), /ENOENT/);
});

test('large pushes, gzipped requests and a clone of the result succeed', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  for (let n = 0; n < 60; n += 1) writeFileSync(join(folder, `file${n}`), randomBytes(50_000));
  await commit(folder, 'one-more');
  const pushed = await git(folder, '-c', 'http.postBuffer=65536', 'push', remote(on), 'main');
  assert.ok(pushed.ok, pushed.out);
  await git(folder, 'checkout', '-q', '-b', 'other');
  const clone = join(on.folder, 'clone');
  const cloned = await git(on.folder, 'clone', '-q', remote(on), clone);
  assert.ok(cloned.ok, cloned.out);
  assert.equal(readdirSync(clone).length, 62, '61 files and .git');
  // Many wants and haves: git compresses a negotiation above 1 KiB.
  for (let n = 0; n < 30; n += 1) await git(clone, 'commit', '-q', '--allow-empty', '-m', `mine ${n}`);
  await commit(folder, 'theirs');
  await git(folder, 'push', remote(on), 'other:main');
  const fetched = await git(clone, 'fetch', '-q', 'origin');
  assert.ok(fetched.ok, fetched.out);
});
