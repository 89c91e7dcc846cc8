import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { isKillBelow, isKillOf, isOfHost, watchKills } from './kernel-log.ts';

const record = (victim: string): string =>
  `6,900,3767818003,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/a,task_memcg=${victim},task=tail,pid=1,uid=0`;

test('an OOM kill counts for its own cgroup and those above, but not for one with a similar name', () => {
  assert.ok(isKillBelow('/orkestr-build-1', record('/orkestr-build-1/buildkit/x')));
  assert.ok(isKillBelow('/orkestr-build-1', record('/orkestr-build-1')));
  assert.ok(!isKillBelow('/orkestr-build-1', record('/orkestr-build-12/buildkit/x')));
  assert.ok(!isKillBelow('/orkestr-build-1', '6,901,1,-;docker0: port 1 entered disabled state'));
});

test('a kill at a memory limit is distinguished from a kill because the host ran out of memory', () => {
  assert.ok(!isOfHost(record('/orkestr-build-1')));
  const global = 'oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=x,mems_allowed=0,global_oom';
  assert.ok(isOfHost(`6,900,1,-;${global},task_memcg=/orkestr-build-1,task=node,pid=1,uid=0`));
});

test('a kill at the limit of a container is recognized by its id, however the engine names cgroups', () => {
  const id = 'c0ffee'.padEnd(64, '0');
  assert.ok(isKillOf(id, record(`/docker/${id}`)));
  assert.ok(isKillOf(id, record(`/orkestr-apps.slice/docker-${id}.scope`)));
  assert.ok(!isKillOf(id, record(`/docker/${id.replace('c', 'd')}`)));
  assert.ok(!isKillOf(id, '6,900,1,-;oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/docker/'.concat(id, ',task=x')));
});

const LOG = '/dev/kmsg';
function whyNoLog(): string | false {
  try {
    accessSync(LOG, constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return 'no log of the kernel to write into';
  }
}

test('a watch counts each kill since its start once, and none from before', { skip: whyNoLog() }, () => {
  const group = `/orkestr-test-${randomUUID()}`;
  // A record without a newline cannot be read until the next one comes.
  const kill = (victim: string): void => writeFileSync(LOG, `${record(victim).replace(/^[^;]*;/, '')}\n`);
  kill(`${group}/before`);
  const watch = watchKills(group);
  try {
    assert.deepEqual(watch.count(), { oomKills: 0, hostOomKills: 0 });
    kill(`${group}/a`);
    kill(`${group}-other/b`);
    assert.deepEqual(watch.count(), { oomKills: 1, hostOomKills: 0 });
    kill(`${group}/c`);
    assert.deepEqual(watch.count(), { oomKills: 2, hostOomKills: 0 });
  } finally {
    watch.close();
  }
});
