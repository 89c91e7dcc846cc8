/**
 * What the runner remembers, and the port through which it does; journal/ implements it. All calls are synchronous, and
 * `record` is one transaction, so a step's result and the report of it are stored together or not at all.
 */
import type { Report } from '../../protocol/agent-link.ts';
import type { EdgePart } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { isWorker } from '../../protocol/job.ts';
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
  /** The deployment that was live when this one started. Fixed at that point, so that a restart sees the same. */
  readonly previousId: string | null;
  readonly cancelRequested: boolean;
  /** Why it is undoing, failed or cancelled. */
  readonly error: ErrorReport | null;
}

export interface StepRecord {
  readonly name: StepName;
  readonly state: 'begun' | 'done' | 'failed' | 'skipped' | 'cancelled';
  /** Whoever reads it validates it against the step's schema. */
  readonly output: unknown;
  readonly note: string | null;
  readonly error: ErrorReport | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Monotonic duration of the last run; null while running. */
  readonly ms: number | null;
  readonly undone: boolean;
  /**
   * How many times the step was started: the run in progress or ended, and those before it that died with the agent.
   */
  readonly starts: number;
}

/** What serves an environment on this host: enough to restore it without the hub. */
export interface LiveRecord {
  readonly environmentId: string;
  readonly projectId: string;
  readonly deploymentId: string;
  /** What the proxy's table must contain. */
  readonly entry: UpstreamEntry;
  /** Null if the journal was lost and this was read back from the proxy. */
  readonly healthCheck: HealthCheck | null;
  /** Null until finalize is done, or if the journal was lost. */
  readonly release: Release | null;
}

/** A background worker. Read back from the proxy, it is known by having no routes. */
export const isLiveWorker = ({ healthCheck, entry }: Pick<LiveRecord, 'healthCheck' | 'entry'>): boolean =>
  healthCheck === null ? entry.routes.length === 0 : isWorker({ healthCheck });

/** The newest edge settings that the host has received for an environment. */
export interface EdgeRecord extends EdgePart {
  readonly environmentId: string;
  readonly revision: number;
}

/** Reports the status of a deployment. */
export type DeploymentReport = Extract<Report, { kind: 'deployment' }>;

/** One change of the journal, applied in whole or not at all. */
export interface Change {
  readonly deploymentId: string;
  /** Stored, and reported in the same transaction. */
  readonly steps?: readonly StepRecord[];
  /** A step whose effect was undone. */
  readonly undone?: StepName;
  readonly state?: DeploymentState;
  readonly error?: ErrorReport;
  readonly previousId?: string | null;
  /** Replaces the live record of its environment. */
  readonly live?: LiveRecord;
  /** Other deployments that this one supersedes. */
  readonly superseded?: readonly string[];
  /** Environment that no longer has anything live. */
  readonly notLive?: string;
  readonly report?: DeploymentReport;
}

export interface DeploymentJournal {
  job(deploymentId: string): JobRecord | null;
  /** The job itself, decrypted. @throws OrkestrError ORK_CONFIG if it was sealed with another key. */
  payload(deploymentId: string): Job;
  steps(deploymentId: string): readonly StepRecord[];
  live(environmentId: string): LiveRecord | null;
  edge(environmentId: string): EdgeRecord | null;
  record(change: Change): void;
}

/** How the journal took an arriving job. */
export type Acceptance = 'new' | 'known' | 'stale';

export interface JobIntake {
  /**
   * Stores a job as `queued`, unless its id is known or its generation is not above all earlier ones of its
   * environment. A removal is never stale: an environment that the hub has deleted does not come back.
   */
  accept(job: Job): Acceptance;
  /**
   * Stores a job that is not run, with the report that says why. Leaves a known id as it is. Does not store a `stale`
   * job, because the hub may send it again under a newer generation.
   */
  refuse(job: RefusedJob, error: ErrorReport, at: string): void;
  /** Sets a removal that failed or was refused back to `queued`. */
  requeue(removal: RemoveJob): void;
  /** The lowest generation that `accept` takes for an environment. */
  nextGeneration(environmentId: string): number;
  requestCancel(deploymentId: string): void;
  /** Repeats the reports of an ended deployment, for a hub that asks again. */
  reannounce(deploymentId: string): void;
  /** Jobs accepted and not ended, in order of acceptance. */
  unfinished(): readonly JobRecord[];
  job(deploymentId: string): JobRecord | null;
}

/** What is known of a job whose body may be unreadable. */
export interface RefusedJob {
  readonly deploymentId: string;
  readonly generation: number;
  /** The newest generation of its environment on this host, if that is why it was refused. */
  readonly newest?: number;
}

/** A report that waits in the outbox. Of a log range only the position is stored: its bytes are in the log file. */
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
