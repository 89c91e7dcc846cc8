/** Free bytes and inodes on the disk that holds journal, logs and workspaces. */
import type { Level } from '../local-api/status-report.ts';
import type { Check } from './check.ts';
import { disk as readDisk, gibibytes, share } from '../host-facts/machine.ts';

const LOW = 0.1;
const FULL = 0.01;

export const disk: Check = {
  name: 'disk',
  async run({ stateFolder }) {
    const facts = await readDisk(stateFolder);
    // Some file systems have no fixed number of inodes and report 0.
    const inodes = facts.totalInodes === 0 ? 1 : facts.availableInodes / facts.totalInodes;
    const least = Math.min(share(facts), inodes);
    const level: Level = least < FULL ? 'down' : least < LOW ? 'degraded' : 'ok';
    const what = inodes < share(facts) && level !== 'ok' ? `, ${facts.availableInodes} inodes free` : '';
    return {
      level,
      summary: `${gibibytes(facts.availableBytes)} of ${gibibytes(facts.totalBytes)} free${what}`,
      data: { ...facts },
    };
  },
};
