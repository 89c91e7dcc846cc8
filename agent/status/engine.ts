/** Docker Engine: whether it responds, its version, and whether containers outlive it. */
import { readEngine } from '../host-facts/engine-info.ts';
import { ANSWER_MS } from '../local-api/status-report.ts';
import type { Check } from './check.ts';

export const engine: Check = {
  name: 'engine',
  async run({ dockerSocket, answerMs = ANSWER_MS }) {
    const { version, liveRestore } = await readEngine(dockerSocket, answerMs);
    return liveRestore
      ? { level: 'ok', summary: `Docker Engine ${version}, live-restore on`, data: { version, liveRestore } }
      : {
          level: 'degraded',
          summary: `Docker Engine ${version}, live-restore off: apps stop when the engine restarts`,
          details: ['run `orkestr-agent doctor` to see what to do'],
          data: { version, liveRestore },
        };
  },
};
