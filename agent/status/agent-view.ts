/** What a running agent reports about itself, from its journal and its link alone. */
import type { DownApp } from '../../protocol/agent-link.ts';
import type { JobRecord, StepRecord } from '../deployment/records.ts';
import type { LinkState } from '../hub-link/session.ts';
import type { Identity } from '../identity/identity.ts';
import { jobOf } from '../journal/job-of.ts';
import type { Journal } from '../journal/journal.ts';
import type { AgentView } from '../local-api/agent-view.ts';

export const RECENT_DEPLOYMENTS = 5;
const NOT_DIALLED = { connected: false, lastError: null, lastCode: null, lastContact: null } as const;

interface AgentViewSources {
  readonly version: string;
  readonly identity: Identity;
  readonly journal: Journal;
  /** When the agent started, ISO 8601. */
  readonly since: string;
  /** Null: not dialled yet. */
  readonly link: LinkState | null;
  /** Null: not known yet. */
  readonly downApps: readonly DownApp[] | null;
}

export function agentView({ version, identity, journal, since, link, downApps }: AgentViewSources): AgentView {
  const names = namesOf(journal);
  return {
    version,
    hostId: identity.hostId,
    pid: process.pid,
    since,
    hub: identity.hub === null ? null : (link ?? { ...NOT_DIALLED, hubUrl: identity.hub.url, since }),
    deployments: journal.unfinished().map(({ deploymentId, environmentId, state }) => ({
      deploymentId,
      environmentId,
      state,
      step: journal.steps(deploymentId).find((step) => step.state === 'begun')?.name ?? null,
    })),
    recent: journal
      .deployments(RECENT_DEPLOYMENTS)
      .map((job) => recentView(job, begin(journal.steps(job.deploymentId)), names)),
    outbox: journal.outbox.size(),
    ...(downApps !== null && { downApps: downApps.map((one) => downView(one, names)) }),
  };
}

/** @param startedAt when its first step began, ISO 8601; null: none has begun */
export const recentView = (
  { deploymentId, environmentId, kind, state, error }: JobRecord,
  startedAt: string | null,
  names: ReadonlyMap<string, string>,
): AgentView['recent'][number] => ({
  deploymentId,
  environment: names.get(environmentId) ?? environmentId,
  kind,
  state,
  startedAt,
  errorCode: error?.code ?? null,
});

const begin = (steps: readonly StepRecord[]): string | null =>
  steps.map((step) => step.startedAt).toSorted()[0] ?? null;

const downView = (
  { environmentId, deploymentId, since, restarts, error }: DownApp,
  names: ReadonlyMap<string, string>,
): NonNullable<AgentView['downApps']>[number] => ({
  environment: names.get(environmentId) ?? environmentId,
  deploymentId,
  since,
  restarts,
  errorCode: error.code,
  message: error.message,
});

/** Live environments with the names that the hub gave in their jobs. One adopted without a readable job has no name. */
export function namesOf(journal: Pick<Journal, 'allLive' | 'job' | 'payload'>): ReadonlyMap<string, string> {
  return new Map(
    journal.allLive().flatMap(({ environmentId, deploymentId }): [string, string][] => {
      const job = jobOf(journal, deploymentId);
      return job === null ? [] : [[environmentId, `${job.project.slug}/${job.environment.slug}`]];
    }),
  );
}
