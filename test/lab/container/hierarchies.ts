/**
 * Hierarchies of control groups (kernel: admin-guide/cgroup-v1) that a lab host's systemd brought into being. One with a group
 * in it outlives the host, and the machine's containerd, which finds no mount of it, then reads no group of a container any
 * more: an app that was killed for memory is told as one that was just killed.
 */
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../../../installer/stack/run-program.ts';

/** Takes away those that are mounted nowhere on this machine. */
export async function removeHierarchies(): Promise<void> {
  const mounted = new Set(
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , type]) => type === 'cgroup')
      .flatMap(([, , , options = '']) => options.split(',')),
  );
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
    const controllers = line.split(':')[1] ?? '';
    const isNamed = controllers === '' || controllers.startsWith('name=');
    if (!isNamed && !controllers.split(',').some((controller) => mounted.has(controller))) await remove(controllers);
  }
}

/** It is gone with its last group once nobody mounts it. One with a process in a group is a host's that still runs. */
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
