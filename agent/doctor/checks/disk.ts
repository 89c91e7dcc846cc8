/** Every file system that holds something of ours: free bytes and inodes, and whether it is writable at all. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { disk as readDisk, gibibytes, share } from '../../host-facts/machine.ts';
import type { DiskFacts } from '../../host-facts/machine.ts';
import { layoutAt } from '../../upgrade/layout.ts';
import type { Subject } from '../subject.ts';

const LOW = 0.1;
const FULL = 0.01;
/** A large disk with this much room is not low, whatever its share, bytes. */
const PLENTY_BYTES = 20 * 1024 ** 3;

interface FileSystem extends DiskFacts {
  readonly what: string;
  readonly path: string;
  readonly readOnly: boolean;
}

type Problem = 'full' | 'low' | 'inodes-full' | 'inodes-low' | 'read-only';

export const disk = defineCheck({
  name: 'disk',
  about: 'The file systems of programs, state, sockets and Docker have free space and inodes, and are writable.',
  problems: {
    full: {
      level: 'fail',
      says: 'The file system of {what} ({path}) is full: {free} of {total} free.',
      mend: 'Run `docker image prune` and `journalctl --vacuum-size=200M` to free some space; `du -xh --max-depth=3 {path} | sort -h | tail` shows what uses it.',
    },
    low: {
      level: 'warn',
      says: 'The file system of {what} ({path}) is nearly full: {free} of {total} free.',
      mend: '`du -xh --max-depth=3 {path} | sort -h | tail` shows what uses the space; `docker image prune` frees some.',
    },
    'inodes-full': {
      level: 'fail',
      says: 'The file system of {what} ({path}) cannot hold more files: {free} of {total} inodes free.',
      mend: '`du -x --inodes --max-depth=3 {path} | sort -n | tail` shows where the files are. Delete unneeded ones.',
    },
    'inodes-low': {
      level: 'warn',
      says: 'The file system of {what} ({path}) can hold only few more files: {free} of {total} inodes free.',
      mend: '`du -x --inodes --max-depth=3 {path} | sort -n | tail` shows where the files are.',
    },
    'read-only': {
      level: 'fail',
      says: 'The file system of {what} ({path}) is mounted read-only.',
      mend: '`dmesg | tail -50` shows whether the disk is damaged. If not, run `mount -o remount,rw {mount}`.',
    },
  },
  async gather(subject) {
    const mounts = await readFile(join(subject.places.proc, 'self/mounts'), 'utf8');
    const places = await distinct(await placesOf(subject));
    return Promise.all(
      places.map(async ({ what, path }) => ({ what, path, ...mountOf(mounts, path), ...(await readDisk(path)) })),
    );
  },
  judge: (fileSystems) => ({
    summary: fileSystems
      .map((one) => `${one.what} ${gibibytes(one.availableBytes)} of ${gibibytes(one.totalBytes)} free`)
      .join(', '),
    findings: fileSystems.flatMap(judgeOne),
  }),
});

function judgeOne(one: FileSystem & { readonly mount: string }): Finding<Problem>[] {
  const { what, path, mount, totalInodes, availableInodes } = one;
  const bytes = { what, path, free: gibibytes(one.availableBytes), total: gibibytes(one.totalBytes) };
  const inodes = { what, path, free: availableInodes, total: totalInodes };
  // Some file systems have no fixed number of inodes and report 0.
  const inodeShare = totalInodes === 0 ? 1 : availableInodes / totalInodes;
  const found: Finding<Problem>[] = [];
  if (one.readOnly) found.push({ problem: 'read-only', values: { what, path, mount } });
  if (share(one) < FULL) found.push({ problem: 'full', values: bytes });
  else if (share(one) < LOW && one.availableBytes < PLENTY_BYTES) found.push({ problem: 'low', values: bytes });
  if (inodeShare < FULL) found.push({ problem: 'inodes-full', values: inodes });
  else if (inodeShare < LOW) found.push({ problem: 'inodes-low', values: inodes });
  return found;
}

interface Place {
  readonly what: string;
  readonly path: string;
}

async function placesOf({ config, engine, places }: Subject): Promise<Place[]> {
  // Without an engine, its default folder.
  const dockerRoot = await engine.info().then(
    ({ DockerRootDir }) => DockerRootDir,
    () => '/var/lib/docker',
  );
  const state = dirname(config.stateFolder);
  // Not every host has the hub, and an agent that runs from sources has no releases.
  const perhaps = [
    { what: 'hub state', path: join(state, 'hub') },
    { what: 'programs', path: layoutAt(places.root).releases },
  ];
  return [
    { what: 'state', path: nearest(config.stateFolder) },
    { what: 'proxy state', path: nearest(join(state, 'proxy')) },
    ...perhaps.filter(({ path }) => existsSync(path)),
    { what: 'build engine', path: nearest(join(config.stateFolder, 'sandbox')) },
    { what: 'Docker', path: nearest(dockerRoot) },
    { what: 'sockets', path: nearest(dirname(config.agentSocket)) },
  ];
}

/** The nearest existing ancestor of a path. */
const nearest = (path: string): string => (existsSync(path) || dirname(path) === path ? path : nearest(dirname(path)));

/** Keeps one place per file system. */
async function distinct(places: readonly Place[]): Promise<Place[]> {
  const devices = await Promise.all(places.map(async ({ path }) => (await stat(path)).dev));
  return places.filter((_, index) => devices.indexOf(devices[index] ?? 0) === index);
}

/** proc_mounts(5): the mount point that holds `path`, and whether it is mounted `ro`. */
function mountOf(mounts: string, path: string): { mount: string; readOnly: boolean } {
  const holding = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, mount = '', , options = '']) => ({ mount: mount.replaceAll('\\040', ' '), options: options.split(',') }))
    .filter(({ mount }) => mount === '/' || path === mount || path.startsWith(`${mount}/`))
    .filter(({ mount }) => mount !== '');
  // Of two mounts on the same path, the later one hides the earlier one.
  const nearestMount = holding.reduce((best, one) => (one.mount.length >= best.mount.length ? one : best), {
    mount: '/',
    options: [] as string[],
  });
  return { mount: nearestMount.mount, readOnly: nearestMount.options.includes('ro') };
}
