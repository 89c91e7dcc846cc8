/**
 * Whether apps outlive a restart of Docker Engine. In a swarm they cannot: an engine with both settings does not start.
 */
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';

type Problem = 'off' | 'off-in-swarm' | 'on-in-swarm';

export const liveRestore = defineCheck({
  name: 'live-restore',
  about: 'Apps keep running while Docker Engine restarts or is upgraded.',
  problems: {
    off: {
      level: 'warn',
      says: 'live-restore is off: when Docker Engine restarts, every app stops.',
      mend: 'Put `"live-restore": true` into /etc/docker/daemon.json, then run `systemctl reload docker` (nothing restarts).',
    },
    'off-in-swarm': {
      level: 'warn',
      says: 'Docker Engine is in swarm mode, where live-restore is not available: when it restarts, every app stops.',
      mend: 'If nobody needs the swarm, run `docker swarm leave --force`. Then put `"live-restore": true` into /etc/docker/daemon.json and run `systemctl reload docker`. Keep this order: with both, Docker Engine does not start.',
    },
    'on-in-swarm': {
      level: 'fail',
      says: 'Docker Engine has live-restore on while in swarm mode: once stopped, neither it nor any app will start again.',
      mend: 'Put `"live-restore": false` into /etc/docker/daemon.json, then run `systemctl reload docker`. Or, if nobody needs the swarm, run `docker swarm leave --force`.',
    },
  },
  gather: ({ engine }) => engine.info(),
  judge: ({ LiveRestoreEnabled, Swarm }) => ({
    summary: LiveRestoreEnabled ? 'on' : 'off',
    findings: findings(LiveRestoreEnabled, Swarm.LocalNodeState !== 'inactive'),
  }),
});

function findings(isOn: boolean, isInSwarm: boolean): Finding<Problem>[] {
  if (isInSwarm) return [{ problem: isOn ? 'on-in-swarm' : 'off-in-swarm' }];
  return isOn ? [] : [{ problem: 'off' }];
}
