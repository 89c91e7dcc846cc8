import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startTestHub, type TestHub, until } from '../agents/test-hub.ts';
import { createAccount } from '../setup.ts';
import { addStrayRepository, listStrayRepositories } from '../store/stray-repositories.ts';
import { makeCloneToken } from './clone-token.ts';

interface Outcome {
  readonly ok: boolean;
  readonly out: string;
}

async function hub(t: TestContext, options: Parameters<typeof startTestHub>[0] = {}): Promise<TestHub> {
  const started = await startTestHub(options);
  t.after(() => started.stop());
  return started;
}

/** git as a user has it, but with nothing of this machine's config. */
function git(cwd: string, ...argv: string[]): Promise<Outcome> {
  const env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: cwd,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  return new Promise((resolve) => {
    execFile('git', argv, { cwd, env, maxBuffer: 1e8 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, out: stdout + stderr }),
    );
  });
}

const remote = (on: TestHub, token = on.account.token, project = 'shop'): string =>
  `${on.url.replace('http://', `http://x:${encodeURIComponent(token)}@`)}/git/${project}.git`;

async function checkout(on: TestHub, name = 'work'): Promise<string> {
  const folder = join(on.folder, name);
  await mkdir(folder);
  await git(folder, 'init', '-q', '-b', 'main', '.');
  return folder;
}

async function commit(
  folder: string,
  file = 'index.html',
  content: string | Buffer = String(Math.random()),
): Promise<string> {
  writeFileSync(join(folder, file), content);
  await git(folder, 'add', '-A');
  await git(folder, 'commit', '-q', '-m', 'change');
  return (await git(folder, 'rev-parse', 'HEAD')).out.trim();
}

const deployments = (on: TestHub) => on.deps.db.selectFrom('deployment').selectAll().orderBy('generation').execute();

test('a push becomes a deployment of the mapped environment and says where to follow it', async (t) => {
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
  assert.match(pushed.out, /remote: it waits for the host vps-1, which is offline/);
  assert.match(pushed.out, new RegExp(`remote: follow it: ${on.url}/deployments/${deployment?.id}`));
  assert.equal(await on.deps.resolver.resolve(on.environmentId), sha);
});

test('each environment of a pushed branch gets its deployment; other branches are told what there is', async (t) => {
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

test('a push goes the whole way to the agent, which can fetch exactly that commit with its token, as long as it runs', async (t) => {
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
  await git(folder, 'push', '-f', remote(on), 'main'); // the branch has forgotten the commit
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

test('a clone token is good for its own project and its time only', async (t) => {
  const on = await hub(t);
  const id = await on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: 'manual',
    commit: 'a'.repeat(40),
    branch: 'main',
    userId: null,
  });
  const claims = { projectId: on.projectId, deploymentId: id };
  const token = makeCloneToken(on.deps.sealer, claims, on.deps.clock.now());
  const folder = await checkout(on);
  assert.ok((await git(folder, 'ls-remote', remote(on, token, on.projectId))).ok);
  const elsewhere = makeCloneToken(on.deps.sealer, { ...claims, projectId: id }, on.deps.clock.now());
  assert.match((await git(folder, 'ls-remote', remote(on, elsewhere, on.projectId))).out, /403/);
  on.pass(7 * 3600 * 1000);
  assert.match((await git(folder, 'ls-remote', remote(on, token, on.projectId))).out, /Authentication failed/);
});

test('without a good token nobody gets in, and nobody sees the projects of other teams', async (t) => {
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

test('a token that only reads can clone and not push', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  const made = await on.api('POST', '/tokens', { name: 'r', scopes: ['read'] });
  const { token } = (await made.json()) as { token: string };
  assert.ok((await git(folder, 'ls-remote', remote(on, token))).ok);
  assert.match((await git(folder, 'push', remote(on, token), 'main:other')).out, /403/);
});

test('only the three smart endpoints answer', async (t) => {
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

/** Send bytes as they are (fetch would tidy the path up) and read the whole answer. */
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

test('a project cannot grow beyond its limit, and the answer names it', async (t) => {
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

test('a pushed object that git finds broken is refused', async (t) => {
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

/** Two of the four digits of a pkt-line's length (gitprotocol-common(5)): receive-pack waits for the rest. */
const HALF_A_LENGTH = '00';

test('a client that goes away in the middle leaves no process behind', async (t) => {
  const on = await hub(t);
  const authorization = `Basic ${Buffer.from(`x:${on.account.token}`).toString('base64')}`;
  const socket = connect(Number(new URL(on.url).port), '127.0.0.1');
  socket.write(
    `POST /git/shop.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\nAuthorization: ${authorization}\r\n\r\n${HALF_A_LENGTH}`,
  );
  const path = on.repositories.path(on.projectId);
  await until(() => gitProcesses(path) > 0);
  socket.destroy();
  await until(() => gitProcesses(path) === 0);
});

test('a push that is broken off leaves nothing in the repository', async (t) => {
  const on = await hub(t);
  const socket = await brokenPush(on);
  socket.destroy();
  await until(() => unfinished(on).length === 0);
  await until(() => gitProcesses(on.repositories.path(on.projectId)) === 0);
});

test('what a killed push left counts for nothing, and the next push removes it', async (t) => {
  const on = await hub(t, { sizeLimit: 1024 * 1024 });
  await on.deps.git.createRepository(on.projectId);
  const left = join(on.repositories.path(on.projectId), 'objects', 'tmp_objdir-incoming-AbCdEf', 'pack');
  await mkdir(left, { recursive: true });
  writeFileSync(join(left, 'tmp_pack_x'), randomBytes(1024 * 1024));
  assert.ok((await on.repositories.size(on.projectId)) < 100_000);
  const folder = await checkout(on);
  await commit(folder);
  const pushed = await git(folder, 'push', remote(on), 'main');
  assert.ok(pushed.ok, pushed.out);
  assert.deepEqual(unfinished(on), []);
});

test('two pushes into one repository do not run side by side: the second is asked to come again', async (t) => {
  const on = await hub(t, { turnMs: 50 });
  const folder = await checkout(on);
  await commit(folder);
  const socket = await brokenPush(on);
  const second = await git(folder, 'push', remote(on), 'main');
  assert.match(second.out, /429/);
  assert.match(second.out, /remote: .*Another push into this repository is under way/);
  assert.equal(unfinished(on).length, 1, 'the first one goes on');
  assert.ok((await git(folder, 'ls-remote', remote(on))).ok, 'reading waits for nobody');
  socket.destroy();
  await until(() => unfinished(on).length === 0);
  await until(async () => (await git(folder, 'push', remote(on), 'main')).ok);
});

test('one token leaves seats to others', async (t) => {
  const on = await hub(t, { seats: { inAll: 4, ofOne: 1 } });
  const socket = await brokenPush(on);
  const made = await on.api('POST', '/tokens', { name: 'other', scopes: ['read'] });
  const { token } = (await made.json()) as { token: string };
  assert.match((await git(on.folder, 'ls-remote', remote(on))).out, /This token has as many git requests under way/);
  assert.equal((await fetch(...advertisement(on, token))).status, 200);
  socket.destroy();
  await until(async () => (await fetch(...advertisement(on, on.account.token))).status === 200);
});

/** The first request of a clone. */
const advertisement = (on: TestHub, token: string): Parameters<typeof fetch> => [
  `${on.url}/git/shop.git/info/refs?service=git-upload-pack`,
  { headers: { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` } },
];

test('a project that is deleted in the middle of a push goes with its repository, and nothing works on it any more', async (t) => {
  const on = await hub(t);
  const path = on.repositories.path(on.projectId);
  await brokenPush(on);
  assert.equal((await on.api('DELETE', '/projects/shop')).status, 204);
  assert.equal(gitProcesses(path), 0);
  assert.equal(existsSync(path), false);
});

test('a push that lands while no hub hears of it is deployed once one is there, and only if nothing else came after it', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  await on.deps.git.stop();
  const lost = await commit(folder);
  assert.match((await git(folder, 'push', remote(on), 'main')).out, /it deploys it as soon as it is there again/);
  await git(folder, 'push', remote(on), 'main:elsewhere');
  const missed = await commit(folder);
  await git(folder, 'push', remote(on), 'main');
  assert.equal((await deployments(on)).length, 1);
  await on.deps.git.start();
  const made = (await deployments(on)).map((deployment) => deployment.commit);
  assert.deepEqual(made.slice(1), [missed]);
  assert.ok(!made.includes(lost));
  assert.deepEqual(readdirSync(join(on.repositories.hooksFolder, 'missed')), []);
  // Its hub died after it had made the deployment and before it could say so.
  rmSync(join(on.repositories.hooksFolder, 'missed'), { recursive: true });
  await on.deps.git.stop();
  await commit(folder);
  assert.match(
    (await git(folder, 'push', remote(on), 'main:elsewhere')).out,
    /did not answer \(ENOENT\); once it does/,
  );
  await on.deps.git.start();
  const note = `${on.projectId} ${on.account.userId}\n${lost} ${missed} refs/heads/main\n`;
  writeFileSync(join(on.repositories.hooksFolder, 'missed', randomUUIDv7()), note);
  await on.deps.git.stop();
  await on.deps.git.start();
  assert.equal((await deployments(on)).length, 2);
  assert.deepEqual(readdirSync(join(on.repositories.hooksFolder, 'missed')), []);
});

test('what a hub that was killed left of repositories goes with its next start, and of no project that is there', async (t) => {
  const first = await startTestHub();
  const { git, db, scheduler } = first.deps;
  const made = await first.api('POST', '/projects', { slug: 'other' });
  const { id: other } = (await made.json()) as { id: string };
  const neverStored = randomUUIDv7();
  await git.createRepository(neverStored);
  await git.createRepository(first.projectId);
  await scheduler.removeProject(first.projectId); // and killed before its files were gone
  await addStrayRepository(db, other); // a row that must not be believed
  const has = (id: string): boolean => existsSync(join(first.repositories.path(id), 'HEAD'));
  assert.deepEqual([neverStored, first.projectId, other].map(has), [true, true, true]);
  await first.stop(true);
  const on = await hub(t, { resume: first });
  assert.deepEqual([neverStored, first.projectId, other].map(has), [false, false, true]);
  assert.deepEqual(await listStrayRepositories(on.deps.db), []);
});

test('a repository whose files cannot go now keeps no project from being deleted, and goes at the next start', async (t) => {
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

test('a push that names branches without end is ended', async (t) => {
  const on = await hub(t);
  const create = `${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/`;
  const commands = Array.from({ length: 12_000 }, (_, n) => line(`${create}branch-${n}`)).join('');
  const answer = await post(on, 'git-receive-pack', Buffer.from(commands));
  await assert.rejects(answer.text(), 'cut off, before git has heard all of them');
  await until(() => gitProcesses(on.repositories.path(on.projectId)) === 0);
});

test('a small request that unpacks to a large one is not taken', async (t) => {
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
  // Of it upload-pack would remember every line.
  assert.doesNotMatch(await fetched(250_000), /PACK/);
});

/** A request of a client, as it is. */
const post = (on: TestHub, service: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${on.url}/git/shop.git/${service}`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`x:${on.account.token}`).toString('base64')}`,
      'content-type': `application/x-${service}-request`,
      ...headers,
    },
    body,
  });

/** gitprotocol-common(5): a line begins with its length. */
const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;

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

test('what a push may still bring is not promised to a push into another repository', async (t) => {
  const { on } = await hubOnDisk(t, 70);
  await on.api('POST', '/projects', { slug: 'other' });
  // It has said that it brings 4 MB of the 6 MiB, and has brought nothing.
  const socket = await brokenPush(on, 4_000_000);
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(3_000_000));
  const push = () =>
    git(folder, '-c', 'http.postBuffer=8000000', 'push', remote(on, on.account.token, 'other'), 'main');
  assert.match((await push()).out, /429/);
  socket.destroy();
  await until(async () => (await push()).ok);
});

test('a repository is packed anew where its copy fits beside the room of the hub, and not before', async (t) => {
  const { on, root } = await hubOnDisk(t, 90);
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(16_000_000));
  const first = await git(folder, 'push', remote(on), 'main');
  assert.ok(first.ok, first.out);
  const packs = join(on.repositories.path(on.projectId), 'objects', 'pack');
  // More than git suffers without packing anew (gc.autoPackLimit).
  for (let n = 0; n < 55; n += 1) packOne(on.repositories.path(on.projectId), n);
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

/** A pack with one object. */
function packOne(cwd: string, n: number): void {
  const id = execFileSync('git', ['hash-object', '-w', '--stdin'], { cwd, input: `object ${n}` });
  execFileSync('git', ['pack-objects', '-q', 'objects/pack/pack'], { cwd, input: id });
}

test('a push leaves the hub its room on the disk', async (t) => {
  const { on, root } = await hubOnDisk(t, 68);
  const folder = await checkout(on);
  await commit(folder, 'a', randomBytes(6_000_000));
  const large = await git(folder, 'push', remote(on), 'main');
  assert.match(large.out, /pack exceeds maximum allowed size/);
  writeFileSync(join(root, 'filler'), randomBytes(5_000_000));
  const full = await git(folder, 'push', remote(on), 'main');
  assert.match(full.out, /507/);
  assert.match(full.out, /64\.0 MiB and 100 inodes have to stay free for the hub/);
});

/** A push of which only the beginning comes: its objects wait in a folder of their own. */
async function brokenPush(on: TestHub, length = 1_000_000): Promise<Socket> {
  const authorization = `Basic ${Buffer.from(`x:${on.account.token}`).toString('base64')}`;
  const command = `${'0'.repeat(40)} ${'a'.repeat(40)} refs/heads/main\0report-status`;
  const pack = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 9])]);
  const socket = connect(Number(new URL(on.url).port), '127.0.0.1');
  socket.on('error', () => undefined); // the hub may cut it off
  socket.write(
    `POST /git/shop.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: ${length}\r\nAuthorization: ${authorization}\r\n\r\n${line(command)}0000`,
  );
  socket.write(pack);
  await until(() => unfinished(on).length > 0);
  return socket;
}

const unfinished = (on: TestHub): string[] => {
  const objects = join(on.repositories.path(on.projectId), 'objects');
  return existsSync(objects) ? readdirSync(objects).filter((name) => name.startsWith('tmp_')) : [];
};

test('a hub that is killed in the middle of a push leaves no process behind either', async (t) => {
  const state = mkdtempSync(join(tmpdir(), 'orkestr-killed-'));
  const env = { PATH: '/usr/bin:/bin', ORKESTR_HUB_STATE: state, ORKESTR_HUB_LISTEN: '127.0.0.1:0' };
  const main = join(import.meta.dirname, '..', 'main.ts');
  const setup = execFileSync(process.execPath, [main, 'setup', '--email', 'a@b.c', '--team', 'T', '--json'], { env });
  const { token } = JSON.parse(setup.toString('utf8')) as { token: string };
  const child = spawn(process.execPath, [main, 'serve'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(state, { recursive: true });
  });
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    url = (JSON.parse(line) as { msg: string; url?: string }).url;
    if (url !== undefined) break;
  }
  const post = async (path: string, body: object): Promise<{ id: string }> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return (await answer.json()) as { id: string };
  };
  await post('/hosts', { name: 'vps' });
  const { id } = await post('/projects', { slug: 'app' });
  const authorization = `Basic ${Buffer.from(`x:${token}`).toString('base64')}`;
  const socket = connect(Number(new URL(url ?? '').port), '127.0.0.1');
  socket.on('error', () => undefined); // the hub dies under it
  socket.write(
    `POST /git/app.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\nAuthorization: ${authorization}\r\n\r\n${HALF_A_LENGTH}`,
  );
  const path = join(state, 'git', `${id}.git`);
  await until(() => gitProcesses(path) > 0);
  child.kill('SIGKILL');
  await exited;
  await until(() => gitProcesses(path) === 0);
  socket.destroy();
});

/** Processes that work in, or were started for, that repository. */
function gitPids(path: string): string[] {
  const root = path.slice(0, path.lastIndexOf('/'));
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    return readProc(pid, 'environ').includes(`GIT_PROJECT_ROOT=${root}\0`);
  });
}

const gitProcesses = (path: string): number => gitPids(path).length;

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // it has just ended, or is the kernel's
  }
}

test('a push of some kilobytes that unpacks to a large file takes no more memory than another one', async (t) => {
  const on = await hub(t);
  const folder = await checkout(on);
  await commit(folder, 'zeros', Buffer.alloc(96 * 1024 ** 2));
  let peak = 0;
  const watching = setInterval(() => {
    for (const pid of gitPids(on.repositories.path(on.projectId))) {
      const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readProc(pid, 'status')) ?? [];
      peak = Math.max(peak, Number(kibibytes ?? 0) / 1024);
    }
  }, 10);
  const pushed = await git(folder, 'push', remote(on), 'main');
  clearInterval(watching);
  assert.ok(pushed.ok, pushed.out);
  assert.ok(peak > 0 && peak < 80, `${peak} MiB`);
});

test('what holds secrets is for its owner only, and a push leaves its secret nowhere', async (t) => {
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

test('a hub whose state folder has a long path listens for pushes elsewhere', async (t) => {
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

test('large pushes and their gzipped requests pass, and so does a clone of them', async (t) => {
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
  // Many wants and haves: git gzips a negotiation above 1 KiB.
  for (let n = 0; n < 30; n += 1) await git(clone, 'commit', '-q', '--allow-empty', '-m', `mine ${n}`);
  await commit(folder, 'theirs');
  await git(folder, 'push', remote(on), 'other:main');
  const fetched = await git(clone, 'fetch', '-q', 'origin');
  assert.ok(fetched.ok, fetched.out);
});
