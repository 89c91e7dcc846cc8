/** Real groups, in the tree of this machine's pids controller. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forkRefusals, killTree, processCount, removeTree } from './processes.ts';

const tree = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
const root = join(tree, `orkestr-build-test-${process.pid}`);

test('processes of a group and its subgroups are counted and killed, and the groups are removed', async () => {
  const child = join(root, 'container');
  mkdirSync(child, { recursive: true });
  const sleeper = spawn('sleep', ['600']);
  writeFileSync(join(child, 'cgroup.procs'), String(sleeper.pid));
  assert.equal(await processCount(root), 1);
  const ended = once(sleeper, 'exit');
  await killTree(root);
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  await removeTree(root);
  assert.ok(!existsSync(root));
});

test('groups that appear and vanish during a scan cause no error', async () => {
  mkdirSync(root);
  const over = new AbortController();
  const looking = (async () => {
    while (!over.signal.aborted) await Promise.all([forkRefusals(root), killTree(root)]);
  })();
  for (let round = 0; round < 300; round += 1) {
    mkdirSync(join(root, 'a', 'b'), { recursive: true });
    await new Promise(setImmediate);
    rmdirSync(join(root, 'a', 'b'));
    rmdirSync(join(root, 'a'));
  }
  over.abort();
  await looking;
  await removeTree(root);
  assert.equal(await processCount(root), 0);
  assert.equal(await forkRefusals(root), 0);
});
