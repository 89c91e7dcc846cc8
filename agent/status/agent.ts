/** The agent itself. */
import { duration } from '../lib/duration.ts';
import type { Check } from './check.ts';

export const agent: Check = {
  name: 'agent',
  async run({ agent: view, stateFolder, silent = false, clock }) {
    if (view === null && silent) {
      return { level: 'down', summary: 'it runs but does not answer: restart it', data: { running: true } };
    }
    if (view === null) {
      return {
        level: 'down',
        summary: `not running (state folder ${stateFolder}): nothing is deployed; live apps keep serving`,
        data: { running: false },
      };
    }
    const { version, hostId, pid, since } = view;
    return {
      level: 'ok',
      summary: `${version}, process ${pid}, up ${duration(clock.now() - Date.parse(since))}`,
      data: { running: true, version, hostId, pid, since },
    };
  },
};
