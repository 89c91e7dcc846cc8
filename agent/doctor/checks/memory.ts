/** Memory: how much is available, and whether processes wait for it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineCheck, when } from '../check.ts';
import { gibibytes, memory as readMemory, share } from '../../host-facts/machine.ts';

const LOW = 0.05;
/** Share of the last minute in which some process waited for memory, percent. */
const PRESSED = 10;

export const memory = defineCheck({
  name: 'memory',
  about:
    'The host has memory left, and processes do not wait for it (pressure stall information, if the kernel has it).',
  problems: {
    low: {
      level: 'warn',
      says: 'Only {free} of {total} memory is available: the kernel may soon kill processes.',
      mend: '`ps -eo rss,args --sort -rss | head` shows which processes use it. Lower the limits of apps, or add memory or swap.',
    },
    pressed: {
      level: 'warn',
      says: 'Processes waited for memory {percent} % of the last minute.',
      mend: '`ps -eo rss,args --sort -rss | head` shows which processes use it. Lower the limits of apps, or add memory; an environment cannot be moved, but a new one can be created on another host.',
    },
  },
  async gather({ places }) {
    const facts = await readMemory(join(places.proc, 'meminfo'));
    return { facts, pressure: await readPressure(join(places.proc, 'pressure/memory')) };
  },
  judge({ facts, pressure }) {
    const amounts = { free: gibibytes(facts.availableBytes), total: gibibytes(facts.totalBytes) };
    return {
      summary: `${amounts.free} of ${amounts.total} available${pressure === null ? '' : `, pressure ${pressure} %`}`,
      findings: [
        ...when(share(facts) < LOW, { problem: 'low', values: amounts }),
        ...when((pressure ?? 0) > PRESSED, { problem: 'pressed', values: { percent: pressure ?? 0 } }),
      ],
    };
  },
});

/**
 * Kernel, accounting/psi.rst: percent of the last 60 s in which some task was stalled; null if the kernel does not say.
 */
async function readPressure(path: string): Promise<number | null> {
  const text = await readFile(path, 'utf8').catch(() => ''); // kernels before 4.20, or psi=0
  const average = /^some .*\bavg60=([\d.]+)/m.exec(text)?.[1];
  return average === undefined ? null : Number(average);
}
