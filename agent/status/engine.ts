/** Docker Engine: does it answer, which version, do containers outlive it. Asked directly, without loading dockerode. */
import { Client } from 'undici';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Check } from './check.ts';

const DEADLINE_MS = 5000;

const Info = z.object({ ServerVersion: z.string(), LiveRestoreEnabled: z.boolean(), Driver: z.string().optional() });

export interface EngineFacts {
  readonly version: string;
  readonly liveRestore: boolean;
}

/** @throws OrkestrError ORK_ENGINE_UNREACHABLE, ORK_ENGINE_TIMEOUT */
export async function readEngine(socketPath: string): Promise<EngineFacts> {
  const client = new Client('http://docker', { socketPath });
  try {
    const answer = await client.request({ method: 'GET', path: '/info', signal: AbortSignal.timeout(DEADLINE_MS) });
    const info = Info.parse(await answer.body.json());
    return { version: info.ServerVersion, liveRestore: info.LiveRestoreEnabled };
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      throw new OrkestrError('ORK_ENGINE_TIMEOUT', `Docker Engine gave no answer in ${DEADLINE_MS / 1000} s.`, {
        cause,
      });
    }
    throw new OrkestrError('ORK_ENGINE_UNREACHABLE', `Docker Engine does not answer at ${socketPath}.`, { cause });
  } finally {
    await client.destroy();
  }
}

export const engine: Check = {
  name: 'engine',
  async run({ dockerSocket }) {
    const { version, liveRestore } = await readEngine(dockerSocket);
    return liveRestore
      ? { level: 'ok', summary: `Docker Engine ${version}, live-restore on`, data: { version, liveRestore } }
      : {
          level: 'degraded',
          summary: `Docker Engine ${version}, live-restore off: apps stop when the engine restarts`,
          details: ['set "live-restore": true in /etc/docker/daemon.json and reload the engine'],
          data: { version, liveRestore },
        };
  },
};
