/** Which control groups the kernel has: without them no limit of an app or a build holds. */
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
