/** Docker Engine's data about itself, requested without loading dockerode. */
import { z } from 'zod';
import { askEngine } from '../docker/ask.ts';

const DEADLINE_MS = 5000;

const Info = z.object({ ServerVersion: z.string(), LiveRestoreEnabled: z.boolean() });

interface EngineInfo {
  readonly version: string;
  /** Containers outlive the engine. */
  readonly liveRestore: boolean;
}

/** @throws OrkestrError ORK_ENGINE_UNREACHABLE, ORK_ENGINE_TIMEOUT */
export async function readEngine(socketPath: string, deadlineMs = DEADLINE_MS): Promise<EngineInfo> {
  const info = await askEngine(socketPath, { path: '/info', schema: Info, deadlineMs });
  return { version: info.ServerVersion, liveRestore: info.LiveRestoreEnabled };
}
