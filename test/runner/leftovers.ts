/** What a test run must not leave on the machine: listed before and after, and compared. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { runProgram } from '../../installer/stack/run-program.ts';

/** Every process started by the run has this variable; children inherit it. */
export const RUN_MARK = 'ORK_TEST_RUN';

/** Kind of thing → the things of that kind. */
type Inventory = Readonly<Record<string, ReadonlySet<string>>>;

interface Looked {
  readonly dockerSocket: string;
  /** Value of {@link RUN_MARK} of this run. */
  readonly run: string;
  /** TMPDIR of this run. */
  readonly temporary: string;
}

export async function takeInventory(where: Looked): Promise<Inventory> {
  return {
    processes: new Set(markedProcesses(`${RUN_MARK}=${where.run}`)),
    'temporary files': new Set(list(where.temporary)),
    'run folders': new Set(list('/run').filter((name) => name.startsWith('orkestr'))),
    'network namespaces': new Set(list('/run/netns')),
    'network links': new Set(list('/sys/class/net')),
    'firewall rules': new Set(await firewallRules()),
    mounts: new Set(mountsBelow(where.temporary)),
    'loop devices': new Set(loopDevices()),
    cgroups: new Set(list('/sys/fs/cgroup').flatMap((name) => orkestrCgroups(`/sys/fs/cgroup/${name}`))),
    ...(await engineThings(where.dockerSocket)),
  };
}

/** Returns what is in `after` but not in `before`, one line each. */
export const compare = (before: Inventory, after: Inventory): string[] =>
  Object.entries(after).flatMap(([kind, things]) =>
    [...things].filter((thing) => !before[kind]?.has(thing)).map((thing) => `${kind}: ${thing}`),
  );

/** How long processes may take to end by themselves, ms. */
const END_MS = 5_000;

/** Ends every process that a run has started: with SIGTERM, then with SIGKILL. */
export async function endMarked(run: string): Promise<void> {
  const mark = `${RUN_MARK}=${run}`;
  signalAll(mark, 'SIGTERM');
  for (const until = performance.now() + END_MS; performance.now() < until; await pause(50)) {
    if (markedProcesses(mark).length === 0) return;
  }
  signalAll(mark, 'SIGKILL');
}

function signalAll(mark: string, signal: NodeJS.Signals): void {
  for (const line of markedProcesses(mark)) {
    try {
      process.kill(Number.parseInt(line, 10), signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** Kinds that cannot belong to anybody else: they carry the mark of the run. */
const CERTAIN = /^(?:processes|temporary files|mounts): /;

/**
 * Returns the leftovers that certainly belong to this run, for a machine where something else runs orkestr at the same
 * time (an `npm start`, another test run) and creates and removes things, too. `scopes`: those of this run's agents.
 */
export const onlyOurs = (left: readonly string[], scopes: readonly string[]): string[] =>
  left.filter(
    (line) =>
      CERTAIN.test(line) || scopes.some((scope) => line.includes(scope) || line.includes(`ork${scope.slice(0, 4)}`)),
  );

/** Whether an agent or a test of orkestr is running that does not belong to this run. */
export function othersAtWork(run: string): boolean {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => /\0--test\0|agent\/main\.ts\0serve/.test(read(`/proc/${pid}/cmdline`)))
    .some((pid) => !read(`/proc/${pid}/environ`).split('\0').includes(`${RUN_MARK}=${run}`));
}

function markedProcesses(mark: string): string[] {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(mark))
    .map((pid) => `${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 200)}`)
    .filter((line) => / ./.test(line));
}

async function engineThings(socket: string): Promise<Record<string, ReadonlySet<string>>> {
  const engine = new EngineApi(socket);
  try {
    if (!(await engine.version())) return {};
    const label = 'orkestr.scope';
    return {
      containers: new Set(
        (await engine.containers(label)).map(({ Id, Names }) => `${Names.join()} ${Id.slice(0, 12)}`),
      ),
      images: new Set(
        (await engine.images(label)).map(({ Id, RepoTags }) => `${RepoTags?.join() ?? ''} ${Id.slice(7, 19)}`),
      ),
      networks: new Set((await engine.networks(label)).map(({ Id, Name }) => `${Name} ${Id.slice(0, 12)}`)),
    };
  } finally {
    await engine.close();
  }
}

/** Rules of every table, without the counters that change by themselves. */
async function firewallRules(): Promise<string[]> {
  const found: string[] = [];
  for (const program of ['iptables-save', 'ip6tables-save'] as const) {
    const { stdout } = await runProgram([program]);
    // The kernel's own chains, `:INPUT ACCEPT`, appear once somebody has read their table.
    const lines = stdout.split('\n').filter((line) => /^(?:-A|:(?!\S+ ACCEPT))/.test(line));
    found.push(...lines.map((line) => `${program} ${line.replace(/\[\d+:\d+\]/, '').trim()}`));
  }
  return found;
}

/** Lines of /proc/self/mounts (proc(5)): the mount point is the second word. */
function mountsBelow(folder: string): string[] {
  const points = read('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`));
}

/** Loop devices in use, with the file behind each. */
function loopDevices(): string[] {
  const names = list('/sys/block').filter((name) => name.startsWith('loop'));
  return names
    .map((name) => `${name} ${read(`/sys/block/${name}/loop/backing_file`).trim()}`)
    .filter((line) => / ./.test(line));
}

/** Our control groups below one controller (cgroup v1), or at the top (v2, where `path` may itself be one). */
function orkestrCgroups(path: string): string[] {
  const isOurs = (name: string): boolean => name.startsWith('orkestr-build');
  const own = path.split('/').at(-1) ?? '';
  return [
    ...(isOurs(own) ? [path] : []),
    ...list(path)
      .filter(isOurs)
      .map((name) => `${path}/${name}`),
  ];
}

function list(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    return readdirSync(folder);
  } catch (error) {
    // A file, or removed meanwhile: it contains nothing.
    if (['ENOTDIR', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // The process ended between listing and reading.
    return '';
  }
}
