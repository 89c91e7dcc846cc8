import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { BuildLimits } from '../../../protocol/job.ts';
import { MIB } from '../../../protocol/size.ts';
import type { CgroupReading } from '../cgroup/cgroup.ts';
import type { DiskUse } from '../slot/disk.ts';
import { type LimitWatch, watchLimits } from './watch.ts';

const limits = BuildLimits.parse({ pids: 100, diskMiB: 100, logMiB: 1 });

/** What the watch sees, and a clock that advances with every look. */
interface Seen {
  group: CgroupReading;
  disk: DiskUse;
}

async function watch(t: TestContext, freeBytes = 1000 * MIB): Promise<{ seen: Seen; watch: LimitWatch }> {
  const seen: Seen = {
    group: { processes: 3, refusedForks: 0, oomKills: 0, hostOomKills: 0, engineOomKills: 0, engineBytes: 200 * MIB },
    disk: { usedBytes: 500 * MIB, freeBytes, usedInodes: 1000, freeInodes: 100_000, hostFreeBytes: 9000 * MIB },
  };
  let now = 0;
  const unused = (): never => assert.fail('the watch should not do this');
  const slot = {
    cgroup: {
      parent: '',
      prepare: unused,
      addEngine: unused,
      hasEngine: unused,
      killAll: unused,
      remove: unused,
      read: async () => seen.group,
      peakMemory: async () => 90 * MIB,
    },
    disk: { folder: '', ensure: unused, giveBack: unused, release: unused, use: async () => seen.disk },
  };
  const clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms: number, signal?: AbortSignal) {
      now += ms;
      await turn();
      signal?.throwIfAborted();
    },
  };
  const made = await watchLimits({ ...slot, clock }, limits);
  t.after(() => made.stop());
  return { seen, watch: made };
}

const turns = async (count: number): Promise<void> => {
  for (let index = 0; index < count; index += 1) await turn();
};

test('space that was used before the build is not counted', async (t) => {
  const { seen, watch: watched } = await watch(t);
  seen.disk = { ...seen.disk, usedBytes: 590 * MIB };
  await turns(50);
  assert.equal(watched.signal.aborted, false);
  seen.disk = { ...seen.disk, usedBytes: 600 * MIB };
  await turns(50);
  assert.equal(watched.signal.aborted, true);
  assert.equal(
    watched.breach('RUN fill')?.message,
    'The build wrote too much to its disk: 100 MiB, limit 100 MiB, in `RUN fill`.',
  );
});

test('on a disk with less free space than the limit the free space is the limit', async (t) => {
  const { seen, watch: watched } = await watch(t, 50 * MIB);
  seen.disk = { ...seen.disk, usedBytes: 550 * MIB };
  await turns(50);
  assert.match(watched.breach(null)?.message ?? '', /50 MiB, limit 50 MiB/);
});

test('a build that stays at its limit of processes is stopped, but one that leaves it again is not', async (t) => {
  const { seen, watch: watched } = await watch(t);
  seen.group = { ...seen.group, processes: 100 }; // at the limit, but nothing refused
  await turns(50);
  assert.equal(watched.signal.aborted, false);
  const crowded = { ...seen.group, refusedForks: 12 };
  seen.group = crowded;
  await turns(3);
  seen.group = { ...crowded, processes: 20 };
  await turns(50);
  assert.equal(watched.signal.aborted, false);
  assert.equal((await watched.look()).refusedForks, 12);
  seen.group = crowded;
  await turns(50);
  assert.equal(watched.breach('RUN bomb')?.code, 'ORK_BUILD_PROCESSES');
});

test('the first breach is the one that is reported', async (t) => {
  const { seen, watch: watched } = await watch(t);
  watched.countLog({ bytes: Buffer.alloc(MIB), at: null });
  assert.equal(watched.breach(null), null);
  watched.countLog({ bytes: Buffer.alloc(1), at: null });
  seen.group = { ...seen.group, oomKills: 1 };
  await turns(50);
  assert.equal(watched.breach(null)?.code, 'ORK_BUILD_LOG');
});

test('the peak disk use of a command is still known after its end', async (t) => {
  const { seen, watch: watched } = await watch(t);
  seen.disk = { ...seen.disk, usedBytes: 570 * MIB };
  await turns(10);
  seen.disk = { ...seen.disk, usedBytes: 500 * MIB };
  assert.equal((await watched.look()).diskBytes, 70 * MIB);
});

test('output that arrives long after it was written is late, but silence is not', async (t) => {
  const { seen, watch: watched } = await watch(t);
  const bytes = Buffer.from('x');
  watched.countLog({ bytes, at: 0 });
  await turns(50);
  assert.equal((await watched.look()).behindMs, 0, 'it came at once; nothing has come since');
  watched.countLog({ bytes, at: 0 });
  assert.ok((await watched.look()).behindMs >= 1000);
  assert.equal(watched.signal.aborted, false);
  seen.group = { ...seen.group, engineBytes: 500 * MIB };
  await turns(10);
  assert.equal(watched.breach('RUN yes')?.code, 'ORK_BUILD_LOG');
});
