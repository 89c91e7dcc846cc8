/** What the journal tells of deployments while no agent answers. */
import { isEnded } from '../deployment/deployment.ts';
import { openServing } from '../journal/serving.ts';
import { readJournal } from '../journal/snapshot.ts';
import type { AgentView } from '../local-api/agent-view.ts';
import { namesOf, RECENT_DEPLOYMENTS, recentView } from './agent-view.ts';

export interface Remembered extends Pick<AgentView, 'recent' | 'outbox'> {
  /** Number of deployments that had begun, and that waited. */
  readonly begun: number;
  readonly waiting: number;
}

/** @returns null if this state folder has no readable journal: the doctor says why */
export async function readRemembered(stateFolder: string): Promise<Remembered | null> {
  const journal = await readJournal(stateFolder);
  if (journal === null || 'unreadable' in journal) return null;
  const unfinished = journal.deployments.filter(({ state }) => !isEnded(state));
  const waiting = unfinished.filter(({ state }) => state === 'queued').length;
  const names = await namesIn(stateFolder);
  return {
    begun: unfinished.length - waiting,
    waiting,
    recent: journal.deployments
      .slice(0, RECENT_DEPLOYMENTS)
      .map((job) => recentView(job, journal.begun.get(job.deploymentId) ?? null, names)),
    outbox: journal.outbox,
  };
}

async function namesIn(stateFolder: string): Promise<ReadonlyMap<string, string>> {
  const serving = await openServing(stateFolder).catch(() => null); // ids do as well as names
  if (serving === null) return new Map();
  try {
    return namesOf(serving);
  } catch {
    return new Map(); // an agent has just begun to migrate it
  } finally {
    serving.close();
  }
}
