/** What is written, in a folder that looks like a cgroup2 mount. The kernel's side of it needs a host with cgroup v2. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BuildLimits } from '../../../protocol/job.ts';
import { makeBuildCgroup } from './cgroup.ts';

const NAME = 'orkestr-build-test';
const limits = BuildLimits.parse({ memoryMiB: 2048, cpus: 1.5, pids: 100 });

/** @param controllers that the kernel offers */
function fakeRoot(t: TestContext, controllers: string): string {
  const root = mkdtempSync(join(tmpdir(), 'ork-cgroup2-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, NAME));
  for (const folder of [root, join(root, NAME)]) {
    writeFileSync(join(folder, 'cgroup.controllers'), controllers);
  }
  return root;
}

test('limits and weights are written where cgroup-v2.rst has them', async (t) => {
  const root = fakeRoot(t, 'cpuset cpu io memory pids\n');
  mkdirSync(join(root, NAME, 'run'));
  const group = makeBuildCgroup(NAME, root);
  assert.equal(group.parent, `/${NAME}/run`);
  await group.prepare(limits);
  const read = (path: string): string => readFileSync(join(root, NAME, path), 'utf8');
  assert.equal(read('cpu.weight'), '25');
  assert.equal(read('cpu.max'), '150000 100000');
  assert.equal(read('run/memory.max'), String(2048 * 1_048_576));
  assert.equal(read('run/pids.max'), '100');
  assert.equal(read('engine/memory.max'), String(1024 * 1_048_576));
  assert.equal(read('engine/cpu.weight'), '400');
  group.addEngine(4711);
  assert.equal(read('engine/cgroup.procs'), '4711');
});

test('the counters are read, refusals of the groups below too', async (t) => {
  const root = fakeRoot(t, 'cpu memory pids');
  const group = makeBuildCgroup(NAME, root);
  await group.prepare(limits);
  const run = join(root, NAME, 'run');
  mkdirSync(join(run, 'container'));
  writeFileSync(join(run, 'memory.events'), 'low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\n');
  writeFileSync(join(run, 'memory.peak'), '123456\n');
  writeFileSync(join(run, 'pids.current'), '77\n');
  writeFileSync(join(run, 'container', 'pids.events'), 'max 5\n');
  assert.deepEqual(await group.read(), { processes: 77, refusedForks: 5, oomKills: 2, engineOomKills: 0 });
  assert.equal(await group.peakMemory(), 123_456);
});
