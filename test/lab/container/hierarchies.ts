/**
 * Control group hierarchies (kernel: admin-guide/cgroup-v1) that a lab host's systemd has created. A hierarchy with a
 * group in it outlives the host. The machine's containerd finds no mount of it, and then cannot read any container's
 * groups: an app killed for memory is reported as merely killed.
 */
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun } from '../../../installer/stack/run-program.ts';

const RETRY_MS = 200;

/**
 * Removes the hierarchies that are not mounted on this machine. One with a process in a group belongs to a running host
 * and stays.
 * @param patienceMs how long to wait until they are gone: some still contain processes of a host that was just removed,
 * and the kernel keeps a removed group for a while
 */
export async function removeHierarchies(patienceMs = 0): Promise<void> {
  for (const end = performance.now() + patienceMs; ; await sleep(RETRY_MS)) {
    for (const controllers of unmounted()) await remove(controllers);
    if (performance.now() >= end || unmounted().length === 0) return;
  }
}

/** In the form of `mount -o` and /proc/self/cgroup: "net_cls,net_prio" or "name=x". */
function unmounted(): string[] {
  const mounted = new Set(
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , type]) => type === 'cgroup')
      .flatMap(([, , , options = '']) => options.split(',')),
  );
  return readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .map((line) => line.split(':')[1] ?? '')
    .filter((controllers) => controllers !== '' && !controllers.startsWith('name='))
    .filter((controllers) => !controllers.split(',').some((controller) => mounted.has(controller)));
}

/** A hierarchy goes with its last group, but only after it has been mounted once more. */
async function remove(controllers: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-cgroup-'));
  try {
    await mustRun('mount', ['mount', '-t', 'cgroup', '-o', controllers, 'cgroup', folder]);
    try {
      const groups = groupsBelow(folder);
      const isUsed = groups.some((group) => readFileSync(join(group, 'cgroup.procs'), 'utf8') !== '');
      if (!isUsed) for (const group of groups) rmdirSync(group);
    } finally {
      await mustRun('umount', ['umount', folder]);
    }
  } finally {
    rmdirSync(folder);
  }
}

/** Deepest first. */
function groupsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [...groupsBelow(join(folder, name)), join(folder, name)]);
}
