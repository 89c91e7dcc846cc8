/**
 * What the runner remembers, and the port through which it does: implemented by journal/. All calls are synchronous, and
 * `record` is one transaction, so a step's result and the report of it are stored together or not at all.
 */
import type { Report } from '../../protocol/agent-link.ts';
import type { EdgePart } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { HealthCheck, Job, RemoveJob } from '../../protocol/job.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { Release, StepName } from '../../protocol/steps.ts';
import type { DeploymentState } from './deployment.ts';

export interface JobRecord {
  readonly deploymentId: string;
  readonly environmentId: string;
  readonly projectId: string;
  readonly generation: number;
  readonly kind: Job['kind'];
  readonly state: DeploymentState;
  /** The deployment that was live when this one started; fixed then, so that a restart sees the same. */
  readonly previousId: string | null;
  readonly cancelRequested: boolean;
  /** Why it is undoing, failed or cancelled. */
  readonly error: ErrorReport | null;
}

export interface StepRecord {
  readonly name: StepName;
  readonly state: 'begun' | 'done' | 'failed' | 'skipped' | 'cancelled';
  /** Validated against the step's schema by whoever reads it. */
  readonly output: unknown;
  readonly note: string | null;
  readonly error: ErrorReport | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Monotonic duration of the last run; null while running. */
  readonly ms: number | null;
  readonly undone: boolean;
  /** Runs that the agent's own death has cut off, and the one that goes on or has ended. */
  readonly starts: number;
}

/** What serves an environment on this host: enough to restore it without the hub. */
export interface LiveRecord {
  readonly environmentId: string;
  readonly projectId: string;
  readonly deploymentId: string;
  /** What the proxy's table must hold. */
  readonly entry: UpstreamEntry;
  /** Null when the journal was lost and this was read back from the proxy. */
  readonly healthCheck: HealthCheck | null;
  /** Null until finalize is done, or when the journal was lost. */
  readonly release: Release | null;
}

/** The newest edge settings that the host has heard of for an environment. */
export interface EdgeRecord extends EdgePart {
  readonly environmentId: string;
  readonly revision: number;
}

/** The report of how a deployment stands. */
export type DeploymentReport = Extract<Report, { kind: 'deployment' }>;

/** One change of the journal: all of it or nothing. */
export interface Change {
  readonly deploymentId: string;
  /** Stored, and reported in the same transaction. */
  readonly steps?: readonly StepRecord[];
  /** A step whose effect is taken back. */
  readonly undone?: StepName;
  readonly state?: DeploymentState;
  readonly error?: ErrorReport;
  readonly previousId?: string | null;
  /** Put in place of what was live in its environment. */
  readonly live?: LiveRecord;
  /** Other deployments that are superseded by this one. */
  readonly superseded?: readonly string[];
  /** Environment that has nothing live any more. */
  readonly notLive?: string;
  readonly report?: DeploymentReport;
}

export interface DeploymentJournal {
  job(deploymentId: string): JobRecord | null;
  /** The job itself, opened from its sealed form. @throws OrkestrError ORK_CONFIG when the key is another one. */
  payload(deploymentId: string): Job;
  steps(deploymentId: string): readonly StepRecord[];
  live(environmentId: string): LiveRecord | null;
  edge(environmentId: string): EdgeRecord | null;
  record(change: Change): void;
}

/** What an arriving job meets. */
export type Acceptance = 'new' | 'known' | 'stale';

export interface JobIntake {
  /**
   * Store a job as `queued` unless its id is known or its generation is not above all before it in its environment. A removal
   * is never stale: an environment that the hub has deleted does not come back.
   */
  accept(job: Job): Acceptance;
  /**
   * Remember a job that is not run, with the report that says why. A known id is left as it is; a job that is `stale` is not
   * remembered, for the hub may send it again under a newer generation.
   */
  refuse(job: RefusedJob, error: ErrorReport, at: string): void;
  /** A removal that failed, or was refused, is `queued` once more. */
  requeue(removal: RemoveJob): void;
  /** The first generation that `accept` takes for an environment. */
  nextGeneration(environmentId: string): number;
  requestCancel(deploymentId: string): void;
  /** Reports of an ended deployment once more, for a hub that asks again. */
  reannounce(deploymentId: string): void;
  /** Accepted and not ended, in the order of acceptance. */
  unfinished(): readonly JobRecord[];
  job(deploymentId: string): JobRecord | null;
}

/** What is left of a job whose body may not even be readable. */
export interface RefusedJob {
  readonly deploymentId: string;
  readonly generation: number;
  /** The newest generation of its environment here, when that is why. */
  readonly newest?: number;
}

/** A report that waits in the outbox. Of log ranges only the place is stored: their bytes are in the log files. */
export type OutboxRow =
  | { readonly sequence: number; readonly kind: 'report'; readonly report: Report }
  | {
      readonly sequence: number;
      readonly kind: 'log';
      readonly deploymentId: string;
      readonly step: StepName;
      readonly offset: number;
      readonly length: number;
      /** Given up because too much was waiting: the hub gets a marker in its place. */
      readonly dropped: boolean;
    };
