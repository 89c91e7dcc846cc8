/** Tests what is written, in a folder that mimics a cgroup2 mount. The kernel's part needs a host with cgroup v2. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildLimits } from '../../../protocol/job.ts';
import { MIB } from '../../../protocol/size.ts';
import { makeBuildCgroup } from './cgroup.ts';
import { buildGroup } from './group.ts';
import { makeBuildPriority } from './priority.ts';

const NAME = 'orkestr-build-test/a';
const limits = BuildLimits.parse({ memoryMiB: 2048, cpus: 1.5, pids: 100 });

/**
 * @param controllers controllers that the kernel offers
 * @param groups existing groups
 */
function fakeRoot(t: TestContext, controllers: string, groups = ['orkestr-build-test', NAME]): string {
  const root = mkdtempSync(join(tmpdir(), 'ork-cgroup2-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const group of ['.', ...groups]) {
    mkdirSync(join(root, group), { recursive: true });
    writeFileSync(join(root, group, 'cgroup.controllers'), controllers);
    writeFileSync(join(root, group, 'cgroup.subtree_control'), 'memory\n');
  }
  return root;
}

test('limits and weights are written to the files that cgroup-v2.rst defines', async (t) => {
  const root = fakeRoot(t, 'cpuset cpu io memory pids\n');
  mkdirSync(join(root, NAME, 'run'));
  const group = makeBuildCgroup(NAME, root);
  assert.equal(group.parent, `/${NAME}/run`);
  await group.prepare(limits);
  const read = (path: string): string => readFileSync(join(root, NAME, path), 'utf8');
  assert.equal(
    read('../cgroup.subtree_control'),
    '+io',
    'the last one that was written; memory is handed down already',
  );
  assert.equal(read('cpu.max'), '150000 100000');
  assert.equal(read('run/memory.max'), String(2048 * MIB));
  assert.equal(read('run/pids.max'), '100');
  assert.equal(read('engine/memory.max'), String(1024 * MIB));
  assert.equal(read('engine/cpu.weight'), '400');
  group.addEngine(4711);
  assert.equal(read('engine/cgroup.procs'), '4711');
  assert.equal(await group.hasEngine(4711), true);
  assert.equal(await group.hasEngine(4712), false);
});

test('in a group delegated by systemd, its process moves to a subgroup before controllers are enabled', async (t) => {
  const delegated = 'orkestr.slice/orkestr-build.slice/orkestr-build.service';
  const path = `${delegated}/scope`;
  const root = fakeRoot(t, 'cpu memory pids', [
    'orkestr.slice',
    'orkestr.slice/orkestr-build.slice',
    delegated,
    path,
    `${path}/a`,
  ]);
  writeFileSync(join(root, delegated, 'cgroup.procs'), '99\n');
  assert.deepEqual(buildGroup('scope', root), { path, atTop: 'orkestr.slice' });
  await makeBuildCgroup(`${path}/a`, root).prepare(limits);
  assert.equal(readFileSync(join(root, delegated, 'keeper', 'cgroup.procs'), 'utf8'), '99');
});

test('without systemd an agent has its own group at the top level', (t) => {
  const root = fakeRoot(t, 'cpu');
  assert.deepEqual(buildGroup('scope', root), { path: 'orkestr-build-scope', atTop: 'orkestr-build-scope' });
});

test('builds are idle, or have a low weight on kernels without cpu.idle, until they insist on a share', async (t) => {
  const root = fakeRoot(t, 'cpu');
  const group = join(root, 'orkestr-build-test');
  const priority = makeBuildPriority({ path: 'orkestr-build-test', atTop: 'orkestr-build-test' }, root, 20);
  const read = (file: string): string => readFileSync(join(group, file), 'utf8');
  for (const file of ['cpu.weight', 'io.weight']) writeFileSync(join(group, file), 'default');
  await priority.apply();
  assert.equal(read('cpu.weight'), '2');
  assert.equal(read('io.weight'), 'default 10');
  writeFileSync(join(group, 'cpu.idle'), '0');
  writeFileSync(join(group, 'cpu.weight'), 'not written: an idle group refuses it');
  await priority.apply();
  assert.equal(read('cpu.idle'), '1');
  assert.match(read('cpu.weight'), /not written/);
  await priority.insist(true);
  assert.equal(read('cpu.idle'), '0');
  assert.equal(read('cpu.weight'), '25');
  await priority.insist(false);
  await priority.hurry(async () => {
    assert.equal(read('cpu.idle'), '1', 'not at once');
    while (read('cpu.idle') !== '0') await delay(1);
  });
  assert.equal(read('cpu.idle'), '1', 'once the build has ended');
  writeFileSync(join(group, 'cpu.stat'), 'usage_usec 7000\nuser_usec 1\n');
  assert.equal(await priority.cpuMs(), 7);
});

test('the last of two concurrent changes to the weight of builds wins', async (t) => {
  const root = fakeRoot(t, 'cpu');
  const idle = join(root, 'orkestr-build-test', 'cpu.idle');
  const priority = makeBuildPriority({ path: 'orkestr-build-test', atTop: 'orkestr-build-test' }, root);
  writeFileSync(idle, '1');
  for (let round = 0; round < 100; round += 1) {
    await Promise.all([priority.insist(true), priority.insist(false)]);
    assert.equal(readFileSync(idle, 'utf8'), '1', `round ${round}`);
  }
});

test('the counters are read, including refused forks in subgroups', async (t) => {
  const root = fakeRoot(t, 'cpu memory pids');
  const group = makeBuildCgroup(NAME, root);
  await group.prepare(limits);
  const run = join(root, NAME, 'run');
  mkdirSync(join(run, 'container'));
  writeFileSync(join(run, 'memory.events'), 'low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\n');
  writeFileSync(join(run, 'memory.peak'), '123456\n');
  writeFileSync(join(run, 'pids.current'), '77\n');
  writeFileSync(join(run, 'container', 'pids.events'), 'max 5\n');
  writeFileSync(join(root, NAME, 'engine', 'memory.stat'), 'anon 8192\nfile 4096\n');
  assert.deepEqual(await group.read(), {
    processes: 77,
    refusedForks: 5,
    oomKills: 2,
    hostOomKills: 0,
    engineOomKills: 0,
    engineBytes: 8192,
  });
  assert.equal(await group.peakMemory(), 123_456);
  writeFileSync(join(run, 'memory.peak'), '0\n');
  assert.equal(await group.peakMemory(), null, 'nothing ran');
  rmSync(join(run, 'memory.peak'));
  assert.equal(await group.peakMemory(), null, 'a kernel before 5.19');
});

test("kills without a breach of the group's own limit count as kills of a host without memory", async (t) => {
  const root = fakeRoot(t, 'cpu memory pids');
  const group = makeBuildCgroup(NAME, root);
  await group.prepare(limits);
  writeFileSync(join(root, NAME, 'run', 'memory.events'), 'max 0\noom 0\noom_kill 1\n');
  const { oomKills, hostOomKills } = await group.read();
  assert.deepEqual([oomKills, hostOomKills], [1, 1]);
});

test('a build does not inherit the counters of the previous build, even if its group could not be recreated', async (t) => {
  const root = fakeRoot(t, 'cpu memory pids');
  const run = join(root, NAME, 'run');
  mkdirSync(join(run, 'dying'), { recursive: true });
  writeFileSync(join(run, 'memory.events'), 'oom 3\noom_kill 3\n');
  writeFileSync(join(run, 'pids.events'), 'max 900\n');
  const group = makeBuildCgroup(NAME, root);
  await group.prepare(limits);
  const { oomKills, hostOomKills, refusedForks } = await group.read();
  assert.deepEqual([oomKills, hostOomKills, refusedForks], [0, 0, 0]);
});
