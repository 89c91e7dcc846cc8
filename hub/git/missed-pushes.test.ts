import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hub } from '../test-hub.ts';
import { checkout, commit, deployments, git, remote } from './test-git.ts';

test('a push while the hub is down is deployed after its start, unless a newer push follows', async (t) => {
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
  // As if the hub had died after it created the deployment and before it answered.
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
