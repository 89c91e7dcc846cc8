/** Uses this machine's kernel: builds next to apps that never idle. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildLimits } from '../../../protocol/job.ts';
import { systemClock } from '../../lib/clock.ts';
import { makeStarvationGuard } from './starvation.ts';
import { makeBuildCgroup } from './cgroup.ts';
import { buildGroup, CGROUP_ROOT, isV2, removeGroup } from './group.ts';
import { makeBuildPriority } from './priority.ts';

const SPIN = 'for (;;);';
const WORK = 'for (const until = 100, begun = process.cpuUsage(); process.cpuUsage(begun).user < until * 1000; );';

test(
  'a build beside apps that never idle starves, is then given a share, and completes',
  { timeout: 120_000 },
  async (t) => {
    const group = buildGroup(randomBytes(4).toString('hex'));
    const slot = makeBuildCgroup(`${group.path}/a`);
    const priority = makeBuildPriority(group);
    const running: ChildProcess[] = [];
    t.after(async () => {
      for (const child of running) child.kill('SIGKILL');
      await slot.remove();
      await removeGroup(group.path);
    });
    const start = (script: string): ChildProcess => {
      const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
      running.push(child);
      return child;
    };
    await slot.prepare(BuildLimits.parse({ cpus: 1 }));
    await priority.apply();
    const idle = join(CGROUP_ROOT, isV2(CGROUP_ROOT) ? '' : 'cpu', group.atTop, 'cpu.idle');
    const isIdle = (): boolean => !existsSync(idle) || readFileSync(idle, 'utf8').trim() === '1';
    assert.ok(isIdle());

    // One more than there are processors, so that one always waits.
    for (let count = 0; count <= availableParallelism(); count += 1) start(SPIN);
    const guard = makeStarvationGuard(priority, systemClock, { lookEveryMs: 250, patienceMs: 1000 });
    await guard.during({ line: () => undefined }, async () => {
      const build = start(WORK);
      slot.addEngine(build.pid ?? assert.fail());
      const ended = once(build, 'exit');
      while (existsSync(idle) && isIdle() && build.exitCode === null) await delay(50);
      assert.equal(build.exitCode, null, 'it had to be given a share first');
      assert.deepEqual(await ended, [0, null]);
    });
  },
);
