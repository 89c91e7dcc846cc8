/** Whether apps outlive a restart of Docker Engine. */
import { defineCheck } from '../check.ts';

export const liveRestore = defineCheck({
  name: 'live-restore',
  about: 'Apps run on while Docker Engine restarts or is upgraded.',
  problems: {
    off: {
      level: 'warn',
      says: 'live-restore is off: when Docker Engine restarts, every app stops.',
      mend: 'Put `"live-restore": true` into /etc/docker/daemon.json, then `systemctl reload docker` (nothing restarts).',
    },
  },
  gather: ({ engine }) => engine.info(),
  judge: ({ LiveRestoreEnabled }) => ({
    summary: LiveRestoreEnabled ? 'on' : 'off',
    findings: LiveRestoreEnabled ? [] : [{ problem: 'off' }],
  }),
});
