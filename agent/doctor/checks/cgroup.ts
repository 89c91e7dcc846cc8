/** Control groups: without them no limit of an app or a build is enforced. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineCheck } from '../check.ts';
import { cgroupVersion } from '../../host-facts/machine.ts';

const NEEDED = ['memory', 'cpu', 'pids'] as const;

export const cgroup = defineCheck({
  name: 'cgroup',
  about: 'The kernel has the control groups memory, cpu and pids, so that limits of apps and builds are enforced.',
  problems: {
    none: {
      level: 'fail',
      says: 'No control groups are mounted at {root}: no limit is enforced.',
      mend: 'Run `mount -t cgroup2 none /sys/fs/cgroup`; systemd does it at boot.',
    },
    'controller-missing': {
      level: 'fail',
      says: 'The kernel has no {controller} control group: that limit is not enforced.',
      mend: 'Boot without `cgroup_disable={controller}` (memory: with `cgroup_enable=memory`): /etc/default/grub, `update-grub`, reboot.',
    },
  },
  async gather({ places }) {
    const version = cgroupVersion(places.cgroup);
    return { version, root: places.cgroup, controllers: await controllersOf(version, places) };
  },
  judge({ version, root, controllers }) {
    if (version === 'unknown') return { summary: 'none', findings: [{ problem: 'none', values: { root } }] };
    return {
      summary: `version ${version}`,
      findings: NEEDED.filter((controller) => !controllers.includes(controller)).map((controller) => ({
        problem: 'controller-missing' as const,
        values: { controller },
        evidence: [`there are: ${controllers.join(' ')}`],
      })),
    };
  },
});

/** cgroups(7): v2 lists them in a file; for v1 the last column of /proc/cgroups says which are enabled. */
async function controllersOf(
  version: string,
  { proc, cgroup: root }: { proc: string; cgroup: string },
): Promise<string[]> {
  if (version === 'unknown') return [];
  if (version === '2') return (await readFile(join(root, 'cgroup.controllers'), 'utf8')).trim().split(/\s+/);
  const lines = (await readFile(join(proc, 'cgroups'), 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [name = '', , , enabled] = line.split('\t');
    return enabled === '1' ? [name] : [];
  });
}
