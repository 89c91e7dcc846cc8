/**
 * What serves on this host, read from the journal with or without a running agent, whose changes show. Never writes.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Job } from '../../protocol/job.ts';
import { JOURNAL_FILE } from './database.ts';
import type { Journal } from './journal.ts';
import { jobFromRow, liveFromRow } from './rows.ts';
import type { JobRow, LiveRow } from './rows.ts';
import { openForLooking, sealerToRead } from './snapshot.ts';

export interface Serving extends Pick<Journal, 'allLive' | 'live' | 'job' | 'payload'> {
  close(): void;
}

/** @returns null if this state folder has no journal */
export async function openServing(stateFolder: string): Promise<Serving | null> {
  const path = join(stateFolder, JOURNAL_FILE);
  if (!existsSync(path)) return null;
  const database = await openForLooking(path);
  const live = database.prepare<[string], LiveRow>('SELECT * FROM live WHERE environment_id = ?');
  const job = database.prepare<[string], JobRow>('SELECT * FROM job WHERE deployment_id = ?');
  return {
    allLive: () => database.prepare<[], LiveRow>('SELECT * FROM live').all().map(liveFromRow),
    live(environmentId) {
      const row = live.get(environmentId);
      return row === undefined ? null : liveFromRow(row);
    },
    job(deploymentId) {
      const row = job.get(deploymentId);
      return row === undefined ? null : jobFromRow(row);
    },
    payload(deploymentId) {
      const sealer = sealerToRead(join(stateFolder, 'secret.key'));
      return Job.parse(JSON.parse(sealer.open(job.get(deploymentId)?.payload ?? '', deploymentId)));
    },
    close: () => void database.close(),
  };
}
