/** Pushes that end early leave nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { runOurs, startOurs } from '../../test/harness/our-program.ts';
import { until } from '../../test/harness/until.ts';
import { hub } from '../test-hub.ts';
import { brokenPush, checkout, commit, git, gitProcesses, remote, unfinished } from './test-git.ts';

/** Two of the four digits of a pkt-line's length (gitprotocol-common(5)): receive-pack waits for the rest. */
const HALF_A_LENGTH = '00';

test('a client that disconnects during a push leaves no process behind', async (t) => {
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

test('an aborted push leaves no files in the repository', async (t) => {
  const on = await hub(t);
  const socket = await brokenPush(on);
  socket.destroy();
  await until(() => unfinished(on).length === 0);
  await until(() => gitProcesses(on.repositories.path(on.projectId)) === 0);
});

test('leftovers of a killed push do not count towards the size, and the next push removes them', async (t) => {
  const on = await hub(t, { sizeLimit: 1024 * 1024 });
  await on.deps.git.createRepository(on.projectId);
  for (const name of ['tmp_objdir-incoming-AbCdEf', 'incoming-AbCdEf']) {
    const left = join(on.repositories.path(on.projectId), 'objects', name, 'pack');
    await mkdir(left, { recursive: true });
    writeFileSync(join(left, 'tmp_pack_x'), randomBytes(1024 * 1024));
  }
  assert.ok((await on.repositories.size(on.projectId)) < 100_000);
  const folder = await checkout(on);
  await commit(folder);
  const pushed = await git(folder, 'push', remote(on), 'main');
  assert.ok(pushed.ok, pushed.out);
  assert.deepEqual(unfinished(on), []);
});

test('two pushes into one repository do not run concurrently: the second is told to try again', async (t) => {
  const on = await hub(t, { turnMs: 50 });
  const folder = await checkout(on);
  await commit(folder);
  const socket = await brokenPush(on);
  const second = await git(folder, 'push', remote(on), 'main');
  assert.match(second.out, /429/);
  assert.match(second.out, /remote: .*Another push to this repository is in progress/);
  assert.equal(unfinished(on).length, 1, 'the first one goes on');
  assert.ok((await git(folder, 'ls-remote', remote(on))).ok, 'reading waits for nobody');
  socket.destroy();
  await until(() => unfinished(on).length === 0);
  await until(async () => (await git(folder, 'push', remote(on), 'main')).ok);
});

test('deleting a project during a push removes its repository and ends the git processes', async (t) => {
  const on = await hub(t);
  const path = on.repositories.path(on.projectId);
  await brokenPush(on);
  assert.equal((await on.api('DELETE', '/projects/shop')).status, 204);
  assert.equal(gitProcesses(path), 0);
  assert.equal(existsSync(path), false);
});

test('a hub that is killed during a push leaves no process behind', async (t) => {
  const state = mkdtempSync(join(tmpdir(), 'orkestr-killed-'));
  const env = { ORKESTR_HUB_STATE: state, ORKESTR_HUB_LISTEN: '127.0.0.1:0' };
  const setup = await runOurs('hub/main.ts', ['setup', '--email', 'a@b.c', '--team', 'T', '--json'], env);
  const { token } = JSON.parse(setup.stdout) as { token: string };
  const child = startOurs('hub/main.ts', ['serve'], env);
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
  socket.on('error', () => undefined); // the hub dies during the request
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
