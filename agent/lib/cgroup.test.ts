import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryCgroupOf, memoryFolder } from './cgroup.ts';

test('the memory cgroup is found with version 1, version 2 and both at once', () => {
  const v1 = '12:pids:/docker/a\n4:memory:/docker/b\n3:cpu,cpuacct:/docker/c\n0::/docker/d\n';
  assert.equal(memoryFolder(v1), '/sys/fs/cgroup/memory/docker/b');
  assert.equal(memoryFolder('0::/system.slice/docker-x.scope\n'), '/sys/fs/cgroup/system.slice/docker-x.scope');
  assert.equal(memoryFolder('1:name=systemd:/x\n'), null);
});

test('this process has a memory cgroup, and a process that is gone has none', async () => {
  assert.match((await memoryCgroupOf(process.pid)) ?? '', /^\/sys\/fs\/cgroup/);
  assert.equal(await memoryCgroupOf(4_194_304), null);
});
