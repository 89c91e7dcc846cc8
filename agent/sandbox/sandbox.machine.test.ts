/** Two slots with real engines. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { BuildLimits } from '../../protocol/job.ts';
import { makeEngine } from '../docker/engine.ts';
import { systemClock } from '../lib/clock.ts';
import type { Engine } from '../lib/engine.ts';
import { buildGroup, CGROUP_ROOT, isV2 } from './cgroup/group.ts';
import { makeSandbox, type Sandbox } from './sandbox.ts';
import type { HeldSlot } from './slot/slot.ts';

const limits = BuildLimits.parse({ memoryMiB: 128, diskMiB: 128 });

interface Fixture {
  readonly scope: string;
  readonly folder: string;
  readonly sandbox: Sandbox;
  readonly said: string[];
  /** Starts a build that holds its slot until the test calls `done`. */
  readonly begin: (environmentId: string) => Promise<{ readonly slot: HeldSlot; readonly done: () => Promise<void> }>;
}

async function fixture(t: TestContext): Promise<Fixture> {
  const scope = randomBytes(4).toString('hex');
  const folder = await mkdtemp(join(tmpdir(), 'ork-slots-'));
  const sandbox = makeSandbox({
    scope,
    stateDirectory: join(folder, 'state'),
    runDirectory: join(folder, 'run'),
    openEngine: (socketPath) => makeEngine({ socketPath, disk: 'build' }),
    slots: 2,
    diskMiB: 512,
    clock: systemClock,
  });
  t.after(async () => {
    await sandbox.purge();
    await rm(folder, { recursive: true });
  });
  const said: string[] = [];
  const log = { write: () => undefined, line: (text: string) => void said.push(text) };
  const begin: Fixture['begin'] = async (environmentId) => {
    const [begun, ended] = [Promise.withResolvers<HeldSlot>(), Promise.withResolvers<void>()];
    const request = { environmentId, limits, log, signal: new AbortController().signal };
    const whole = sandbox.use(request, (slot) => {
      begun.resolve(slot);
      return ended.promise;
    });
    whole.catch(begun.reject);
    return {
      slot: await begun.promise,
      done: () => {
        ended.resolve();
        return whole;
      },
    };
  };
  return { scope, folder, sandbox, said, begin };
}

const ping = (engine: Engine): Promise<unknown> => engine.call('ping', (docker) => docker.ping());

test('two builds get separate engines, groups and disks, a third waits, and only the caches remain', async (t) => {
  const { scope, folder, sandbox, said, begin } = await fixture(t);
  const [first, second] = await Promise.all([begin('a'), begin('b')]);
  assert.notEqual(first.slot.engine.socketPath, second.slot.engine.socketPath);
  assert.notEqual(first.slot.cgroup.parent, second.slot.cgroup.parent);
  assert.notEqual(first.slot.disk.folder, second.slot.disk.folder);
  const third = begin('c');
  while (!said.some((text) => text.startsWith('Waiting'))) await ping(first.slot.engine);
  assert.ok(said.includes('Waiting for a free build slot, 0 before this one'));

  // The failure of one engine does not affect the other.
  const pidFile = join(folder, 'run', 'a', 'dockerd.pid');
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  await assert.rejects(untilSilent(first.slot.engine), { code: 'ORK_ENGINE_UNREACHABLE' });
  await ping(second.slot.engine);
  const leftOver: string[] = [];
  first.slot.afterwards(async () => {
    await ping(second.slot.engine);
    leftOver.push('done');
  });
  await first.done();
  const { slot, done } = await third;
  const doneBefore = [...leftOver];
  await ping(slot.engine); // a new engine in the same slot
  assert.equal(slot.engine.socketPath, first.slot.engine.socketPath);
  await done();
  await second.done();
  assert.deepEqual(doneBefore, ['done'], 'what the build before had left was done before this one');

  await sandbox.stop();
  assert.equal(await sandbox.isRunning(), false);
  assert.deepEqual(
    readdirSync('/run/netns').filter((name) => name.includes(scope)),
    [],
  );
  assert.ok(!(await readFile('/proc/self/mounts', 'utf8')).includes(folder));
  for (const letter of ['a', 'b']) assert.ok(existsSync(join(folder, 'state', letter, 'disk.img')));
});

test('the engine has its own group, separate from that of its containers, with less weight than apps', async (t) => {
  const { scope, folder, begin } = await fixture(t);
  const { done } = await begin('a');
  const { path, atTop } = buildGroup(scope);
  const own = new RegExp(`^\\d+:(?:memory)?:/${path}/a/engine$`, 'm');
  const pid = readFileSync(join(folder, 'run', 'a', 'dockerd.pid'), 'utf8').trim();
  const containerd = readFileSync(join(folder, 'run', 'a', 'exec', 'containerd', 'containerd.pid'), 'utf8').trim();
  for (const each of [pid, containerd]) assert.match(readFileSync(`/proc/${each}/cgroup`, 'utf8'), own);
  // The idle weight, or a quarter of an app's while other tests leave the build no time.
  const [weight, most] = isV2(CGROUP_ROOT) ? [`${atTop}/cpu.weight`, 25] : [`cpu/${atTop}/cpu.shares`, 256];
  assert.ok(Number(readFileSync(join(CGROUP_ROOT, weight), 'utf8')) <= most);
  assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim(), '500');
  await done();
});

/** Rejects once the engine stops responding. */
async function untilSilent(engine: Engine): Promise<void> {
  for (let tries = 0; tries < 1000; tries += 1) await ping(engine);
}
