/**
 * Hierarchies of control groups (kernel: admin-guide/cgroup-v1) that a lab host's systemd brought into being. One with a group
 * in it outlives the host, and the machine's containerd, which finds no mount of it, then reads no group of a container any
 * more: an app that was killed for memory is told as one that was just killed.
 */
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun } from '../../../installer/stack/run-program.ts';

const RETRY_MS = 200;

/**
 * Takes away those that are mounted nowhere on this machine. One with a process in a group is left to the host that runs there.
 * @param patienceMs how long is waited for them to be gone: processes of a host that was just removed are still in some, and
 *   a group that was taken away is remembered by the kernel for a while
 */
export async function removeHierarchies(patienceMs = 0): Promise<void> {
  for (const end = performance.now() + patienceMs; ; await sleep(RETRY_MS)) {
    for (const controllers of unmounted()) await remove(controllers);
    if (performance.now() >= end || unmounted().length === 0) return;
  }
}

/** As `mount -o` and /proc/self/cgroup have them, "net_cls,net_prio" or "name=x". */
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

/** It is gone with its last group, but only once somebody has had it mounted after that. */
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

/** The deepest first. */
function groupsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [...groupsBelow(join(folder, name)), join(folder, name)]);
}
