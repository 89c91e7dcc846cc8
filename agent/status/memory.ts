/** Memory of the host. */
import type { Check } from './check.ts';
import { gibibytes, memory as readMemory, share } from '../host-facts/machine.ts';

const LOW = 0.05;

export const memory: Check = {
  name: 'memory',
  async run() {
    const facts = await readMemory();
    return {
      level: share(facts) < LOW ? 'degraded' : 'ok',
      summary: `${gibibytes(facts.availableBytes)} of ${gibibytes(facts.totalBytes)} available`,
      data: { ...facts },
    };
  },
};
