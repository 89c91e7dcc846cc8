/** Docker Engine: does it answer, which version, do containers outlive it. Asked directly, without loading dockerode. */
import { z } from 'zod';
import { askEngine } from '../docker/ask.ts';
import { ANSWER_MS } from './check.ts';
import type { Check } from './check.ts';

const DEADLINE_MS = 5000;

const Info = z.object({ ServerVersion: z.string(), LiveRestoreEnabled: z.boolean(), Driver: z.string().optional() });

interface EngineFacts {
  readonly version: string;
  readonly liveRestore: boolean;
}

/** @throws OrkestrError ORK_ENGINE_UNREACHABLE, ORK_ENGINE_TIMEOUT */
export async function readEngine(socketPath: string, deadlineMs = DEADLINE_MS): Promise<EngineFacts> {
  const info = await askEngine(socketPath, { path: '/info', schema: Info, deadlineMs });
  return { version: info.ServerVersion, liveRestore: info.LiveRestoreEnabled };
}

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
