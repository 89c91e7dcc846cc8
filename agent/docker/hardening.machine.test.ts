/**
 * A running app container as the kernel sees it, against section 5 of the CIS Docker Benchmark 1.6 and
 * docs/isolation.md: a setting is one thing, its effect on a process of the app is another.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeContainerRuntime } from './containers.ts';
import { makeEngine } from './engine.ts';

const scope = randomBytes(4).toString('hex');
const projectId = randomUUID();
const networkName = `orkestr-${projectId}`;
const runtime = makeContainerRuntime(makeEngine({ socketPath: '/var/run/docker.sock' }), { scope });
const names: string[] = [];

/** Starts an app with minimal settings. Returns its name and the process that runs `script`. */
async function start(script: string): Promise<{ name: string; pid: number }> {
  const deploymentId = randomUUID();
  const name = `orkestr-${deploymentId}`;
  names.push(name);
  const { pid } = await runtime.start({
    owner: { deploymentId, environmentId: randomUUID(), projectId },
    name,
    imageId: 'debian:trixie-slim',
    env: {},
    command: ['bash', '-c', script],
    limits: { memoryMiB: 64, cpus: 0.5, pids: 64 },
    readOnlyRoot: true,
    capabilities: [],
    networkName,
  });
  assert.ok(pid !== null);
  return { name, pid };
}

/** Field → value of /proc/PID/status (proc(5)). */
async function statusOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
}

interface Mount {
  readonly point: string;
  readonly options: string;
  readonly tags: string;
  readonly type: string;
}

/** /proc/PID/mountinfo (proc(5)). */
async function mountsOf(pid: number): Promise<Mount[]> {
  const lines = (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).trim().split('\n');
  return lines.map((line) => {
    const [before = '', behind = ''] = line.split(' - ');
    const [, , , , point = '', options = '', ...tags] = before.split(' ');
    return { point, options, tags: tags.join(' '), type: behind.split(' ')[0] ?? '' };
  });
}

/** A limit of the cgroup of a process: the file of cgroup v1 below its controller, or that of v2. */
async function limit(pid: number, controller: string, v1: string, v2: string): Promise<string> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n');
  const entries = lines.map((line) => line.split(':'));
  const [, , own = ''] = entries.find(([, names = '']) => names.split(',').includes(controller)) ?? [];
  const [, , unified = ''] = entries.find(([, names]) => names === '') ?? [];
  const inV1 = join('/sys/fs/cgroup', controller, own, v1);
  return (await readFile(existsSync(inV1) ? inV1 : join('/sys/fs/cgroup', unified, v2), 'utf8')).trim();
}

describe('a running app container', () => {
  let pid = 0;
  before(async () => {
    ({ pid } = await start('sleep 1000'));
  });
  after(async () => {
    for (const name of names) await runtime.stopAndRemove(name, 0);
    await runtime.removeNetwork(networkName);
  });

  test('has no capability, cannot gain one, and has a seccomp filter', async () => {
    const status = await statusOf(pid);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      assert.match(status[set] ?? '', /^0{16}$/, set);
    assert.equal(status['NoNewPrivs'], '1');
    assert.equal(status['Seccomp'], '2');
  });

  test('shares no namespace with the host that Docker can separate', async () => {
    for (const kind of ['net', 'pid', 'ipc', 'uts', 'mnt']) {
      const [its, ours] = await Promise.all(
        [`/proc/${pid}/ns/${kind}`, `/proc/self/ns/${kind}`].map((path) => readlink(path)),
      );
      assert.notEqual(its, ours, kind);
    }
  });

  test('with a read-only root can write to no disk, and propagates no mount to the host', async () => {
    const mounts = await mountsOf(pid);
    const inMemory = ['tmpfs', 'proc', 'devpts', 'mqueue', 'sysfs', 'cgroup', 'cgroup2'];
    const writable = mounts.filter(
      ({ options, type }) => options.split(',').includes('rw') && !inMemory.includes(type),
    );
    assert.deepEqual(writable, []);
    assert.deepEqual(
      mounts.filter(({ tags }) => tags.includes('shared:')),
      [],
    );
    assert.deepEqual(
      mounts.filter(({ point }) => point.endsWith('.sock')),
      [],
    );
  });

  test('has no device of the host', async () => {
    const usual = [
      'console',
      'core',
      'fd',
      'full',
      'mqueue',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stderr',
      'stdin',
    ];
    const devices = await readdir(`/proc/${pid}/root/dev`);
    assert.deepEqual(
      devices.filter((name) => ![...usual, 'stdout', 'tty', 'urandom', 'zero'].includes(name)),
      [],
    );
  });

  test('has the limits of its environment in the kernel, and no additional memory through swap', async () => {
    assert.equal(await limit(pid, 'memory', 'memory.limit_in_bytes', 'memory.max'), String(64 * 1_048_576));
    assert.match(await limit(pid, 'memory', 'memory.memsw.limit_in_bytes', 'memory.swap.max'), /^(?:67108864|0)$/);
    assert.equal(await limit(pid, 'pids', 'pids.max', 'pids.max'), '64');
    assert.match(await limit(pid, 'cpu', 'cpu.cfs_quota_us', 'cpu.max'), /^50000(?: 100000)?$/);
  });

  test('that is a fork bomb stays within its process limit, and its neighbour can still start processes', async () => {
    const bomb = await start('bomb() { bomb | bomb & }; bomb; sleep 1000');
    const neighbour = await start('sleep 1000');
    // Long enough for an unlimited bomb to have thousands of processes.
    for (let looks = 0; looks < 20; looks += 1) {
      assert.ok(Number(await limit(bomb.pid, 'pids', 'pids.current', 'pids.current')) <= 64);
      await delay(50);
    }
    const { exitCode, output } = await runtime.exec(
      neighbour.name,
      ['bash', '-c', 'for i in {1..20}; do (echo $i); done'],
      30_000,
    );
    assert.deepEqual([exitCode, output.trim().split('\n').length], [0, 20]);
    await runtime.stopAndRemove(bomb.name, 0);
    assert.equal(await runtime.inspect(bomb.name), null);
  });
});
