/** Whether apps outlive a restart of Docker Engine. In a swarm they cannot: an engine with both does not start. */
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';

type Problem = 'off' | 'off-in-swarm' | 'on-in-swarm';

export const liveRestore = defineCheck({
  name: 'live-restore',
  about: 'Apps run on while Docker Engine restarts or is upgraded.',
  problems: {
    off: {
      level: 'warn',
      says: 'live-restore is off: when Docker Engine restarts, every app stops.',
      mend: 'Put `"live-restore": true` into /etc/docker/daemon.json, then `systemctl reload docker` (nothing restarts).',
    },
    'off-in-swarm': {
      level: 'warn',
      says: 'Docker Engine is in a swarm, which goes without live-restore: when it restarts, every app stops.',
      mend: 'Where nobody needs the swarm: `docker swarm leave --force`; then put `"live-restore": true` into /etc/docker/daemon.json, and `systemctl reload docker`. Not before: with both the engine does not start.',
    },
    'on-in-swarm': {
      level: 'fail',
      says: 'Docker Engine has live-restore on and is in a swarm: it will not start again, and no app with it.',
      mend: 'Put `"live-restore": false` into /etc/docker/daemon.json, then `systemctl reload docker`. Or, where nobody needs the swarm: `docker swarm leave --force`.',
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
