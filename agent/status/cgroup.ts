/** The kernel's cgroup version: without cgroups no limit of an app or a build is enforced. */
import type { Check } from './check.ts';
import { cgroupVersion } from '../host-facts/machine.ts';

export const cgroup: Check = {
  name: 'cgroup',
  async run() {
    const version = cgroupVersion();
    return version === 'unknown'
      ? { level: 'degraded', summary: 'no control groups found: limits are not enforced', data: { version } }
      : { level: 'ok', summary: `version ${version}`, data: { version } };
  },
};
