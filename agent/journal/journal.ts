/** The agent's durable state: jobs, their steps, what is live, and the outbox, changed together in transactions. */
import { join } from 'node:path';
import type { Report } from '../../protocol/agent-link.ts';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { Job } from '../../protocol/job.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { DeploymentState } from '../deployment/deployment.ts';
import type {
  Acceptance,
  Change,
  DeploymentJournal,
  JobIntake,
  JobRecord,
  LiveRecord,
  RefusedJob,
  StepRecord,
} from '../deployment/records.ts';
import type { Database } from './database.ts';
import { JOURNAL_FILE, openDatabase } from './database.ts';
import { findEdge, forgetEdge, takeEdgeOfJob, takeEdge } from './edge.ts';
import { DEFAULT_OUTBOX_LIMITS, makeOutbox } from './outbox.ts';
import type { Outbox, OutboxLimits } from './outbox.ts';
import { jobFromRow, liveFromRow, stepFromRow, stepReport } from './rows.ts';
import type { JobRow, LiveRow, StepRow } from './rows.ts';

/** States of jobs that have not ended, for SQL. */
const UNFINISHED_STATES = (['queued', 'running', 'undoing'] satisfies DeploymentState[])
  .map((state) => `'${state}'`)
  .join(', ');

export interface Journal extends DeploymentJournal, JobIntake {
  readonly outbox: Outbox;
  /** Folder of a damaged predecessor, if this journal was created empty because of it. */
  readonly quarantined: string | null;
  allLive(): readonly LiveRecord[];
  /** Records a deployment that was found serving but is not in the journal. */
  adopt(live: LiveRecord): void;
  /** Stores new edge settings, unless newer ones are known, and puts them into the live record. */
  takeEdge(order: EdgeOrder): void;
  /** Records that the live target now has another address. */
  moveLive(environmentId: string, address: string): void;
  /** All deployments in this journal, newest first. */
  deployments(limit: number): readonly JobRecord[];
  /** Every environment that ever had a job here, with its project. */
  places(): readonly { readonly environmentId: string; readonly projectId: string }[];
  /**
   * Deletes ended deployments beyond the newest `keep` of each environment; of a removed environment, all but the
   * removal. Returns their ids, whose logs may go too.
   */
  prune(keep: number): readonly string[];
  /** Throws unless the journal can be read. Does not write, because a restart does not help against a full disk. */
  ping(): void;
  close(): void;
}

interface JournalOptions {
  readonly stateFolder: string;
  readonly sealer: Sealer;
  readonly log: Logger;
  readonly now: () => number;
  readonly outboxLimits?: OutboxLimits;
}

/** @throws OrkestrError ORK_CONFIG if a newer agent wrote the journal */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const path = join(options.stateFolder, JOURNAL_FILE);
  const { database, quarantined } = await openDatabase(path, options.log, options.now);
  const outbox = makeOutbox(database, options.outboxLimits ?? DEFAULT_OUTBOX_LIMITS);
  return {
    outbox,
    quarantined,
    ...deployments(database, options.sealer, outbox),
    ...intake(database, options.sealer, outbox),
    ...liveTargets(database),
    takeEdge: (order) => takeEdge(database, order),
    deployments: (limit) =>
      database.prepare<[number], JobRow>('SELECT * FROM job ORDER BY position DESC LIMIT ?').all(limit).map(jobFromRow),
    prune: (keep) => prune(database, outbox, keep),
    ping: () => void database.prepare('SELECT count(*) FROM live').get(),
    close: () => void database.close(),
  };
}

function deployments(database: Database, sealer: Sealer, outbox: Outbox): DeploymentJournal {
  const job = database.prepare<[string], JobRow>('SELECT * FROM job WHERE deployment_id = ?');
  const steps = database.prepare<[string], StepRow>('SELECT * FROM step WHERE deployment_id = ?');
  const live = database.prepare<[string], LiveRow>('SELECT * FROM live WHERE environment_id = ?');
  const markUndone = database.prepare('UPDATE step SET undone = 1 WHERE deployment_id = ? AND name = ?');
  const setError = database.prepare('UPDATE job SET error = ? WHERE deployment_id = ?');
  const setPrevious = database.prepare('UPDATE job SET previous_id = ? WHERE deployment_id = ?');
  const dropLive = database.prepare('DELETE FROM live WHERE environment_id = ?');
  const record = database.transaction((change: Change) => {
    const { deploymentId } = change;
    for (const step of change.steps ?? []) {
      putStep(database, deploymentId, step);
      outbox.add(stepReport(deploymentId, step));
    }
    if (change.undone !== undefined) markUndone.run(deploymentId, change.undone);
    if (change.error !== undefined) setError.run(JSON.stringify(change.error), deploymentId);
    if (change.previousId !== undefined) setPrevious.run(change.previousId, deploymentId);
    if (change.notLive !== undefined) {
      dropLive.run(change.notLive);
      forgetEdge(database, change.notLive);
    }
    if (change.live !== undefined) putLive(database, change.live);
    if (change.state !== undefined) setState(database, deploymentId, change.state);
    for (const other of change.superseded ?? []) setState(database, other, 'superseded');
    if (change.report !== undefined) addReport(database, outbox, change.report);
  });
  return {
    job: (deploymentId) => mapped(job.get(deploymentId), jobFromRow),
    payload(deploymentId) {
      const row = job.get(deploymentId);
      return Job.parse(JSON.parse(sealer.open(row?.payload ?? '', deploymentId)));
    },
    steps: (deploymentId) => steps.all(deploymentId).map(stepFromRow),
    live: (environmentId) => mapped(live.get(environmentId), liveFromRow),
    edge: (environmentId) => findEdge(database, environmentId),
    record,
  };
}

function intake(database: Database, sealer: Sealer, outbox: Outbox): Omit<JobIntake, 'job'> {
  const known = (deploymentId: string): JobRow | undefined =>
    database.prepare<[string], JobRow>('SELECT * FROM job WHERE deployment_id = ?').get(deploymentId);
  const insert = database.prepare(
    `INSERT INTO job (deployment_id, environment_id, project_id, generation, kind, payload, state)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const accept = database.transaction((job: Job): Acceptance => {
    if (known(job.deploymentId)) return 'known';
    const newest = newestGeneration(database, job.environment.id);
    // An adopted live deployment has a generation but no job: its own job, sent again, is welcome.
    const own = newest.deploymentId === job.deploymentId && newest.generation === job.generation;
    if (job.kind !== 'remove' && job.generation <= newest.generation && !own) return 'stale';
    const sealed = sealer.seal(JSON.stringify(job), job.deploymentId);
    insert.run(job.deploymentId, job.environment.id, job.project.id, job.generation, job.kind, sealed, 'queued');
    if (job.kind !== 'remove' && job.kind !== 'build') takeEdgeOfJob(database, job);
    database
      .prepare(
        `INSERT INTO environment (id, project_id, generation) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET generation = max(generation, excluded.generation)`,
      )
      .run(job.environment.id, job.project.id, job.generation);
    return 'new';
  });
  const refuse = database.transaction((job: RefusedJob, error: ErrorReport, at: string) => {
    const { deploymentId, generation, newest } = job;
    if (newest === undefined && !known(deploymentId))
      insert.run(deploymentId, '', '', generation, 'deploy', '', 'failed');
    const about = { deploymentId, generation, ...(newest !== undefined && { newest }) };
    addReport(database, outbox, { kind: 'deployment', ...about, status: 'failed', at, error });
  });
  return {
    accept: (job) => accept.immediate(job),
    refuse,
    requeue(removal) {
      const { deploymentId, environment, project } = removal;
      const sealed = sealer.seal(JSON.stringify(removal), deploymentId);
      // Sets all columns: the payload was deleted on failure, and a refused removal has only its id.
      database
        .prepare(
          `UPDATE job SET environment_id = ?, project_id = ?, kind = 'remove', payload = ?, state = 'queued', error = NULL,
             final = NULL WHERE deployment_id = ? AND state = 'failed'`,
        )
        .run(environment.id, project.id, sealed, deploymentId);
    },
    nextGeneration: (environmentId) => newestGeneration(database, environmentId).generation + 1,
    requestCancel(deploymentId) {
      database.prepare('UPDATE job SET cancel_requested = 1 WHERE deployment_id = ?').run(deploymentId);
    },
    reannounce: database.transaction((deploymentId: string) => {
      const final = known(deploymentId)?.final;
      if (final === null || final === undefined) return;
      const rows = database.prepare<[string], StepRow>('SELECT * FROM step WHERE deployment_id = ?').all(deploymentId);
      for (const row of rows) outbox.add(stepReport(deploymentId, stepFromRow(row)));
      outbox.add(JSON.parse(final) as Report);
    }),
    unfinished: () =>
      database
        .prepare<[], JobRow>(`SELECT * FROM job WHERE state IN (${UNFINISHED_STATES}) ORDER BY position`)
        .all()
        .map(jobFromRow),
  };
}

type LiveTargets = Pick<Journal, 'allLive' | 'adopt' | 'moveLive' | 'places'>;

function liveTargets(database: Database): LiveTargets {
  return {
    allLive: () => database.prepare<[], LiveRow>('SELECT * FROM live').all().map(liveFromRow),
    adopt: database.transaction((live: LiveRecord) => {
      putLive(database, live);
      database
        .prepare(
          `INSERT INTO environment (id, project_id, generation) VALUES (?, ?, ?)
           ON CONFLICT DO UPDATE SET generation = max(generation, excluded.generation)`,
        )
        .run(live.environmentId, live.projectId, live.entry.generation);
    }),
    moveLive(environmentId, address) {
      database
        .prepare("UPDATE live SET entry = json_set(entry, '$.targets[0].address', ?) WHERE environment_id = ?")
        .run(address, environmentId);
    },
    places: () =>
      database
        .prepare<[], { environmentId: string; projectId: string }>(
          'SELECT id AS environmentId, project_id AS projectId FROM environment',
        )
        .all(),
  };
}

/** Generation of the newest job or live target of an environment; 0 if there was none. */
function newestGeneration(
  database: Database,
  environmentId: string,
): { generation: number; deploymentId: string | null } {
  const newest = database
    .prepare<[string], { generation: number }>('SELECT generation FROM environment WHERE id = ?')
    .get(environmentId);
  const live = database
    .prepare<[string], { deployment_id: string }>('SELECT deployment_id FROM live WHERE environment_id = ?')
    .get(environmentId);
  return { generation: newest?.generation ?? 0, deploymentId: live?.deployment_id ?? null };
}

function setState(database: Database, deploymentId: string, state: DeploymentState): void {
  database.prepare('UPDATE job SET state = ? WHERE deployment_id = ?').run(state, deploymentId);
  // A deployment that neither runs nor serves no longer needs its secrets.
  database
    .prepare(
      `UPDATE job SET payload = '' WHERE deployment_id = ? AND state IN ('built', 'failed', 'cancelled', 'superseded')
       AND deployment_id NOT IN (SELECT deployment_id FROM live)`,
    )
    .run(deploymentId);
}

function putStep(database: Database, deploymentId: string, step: StepRecord): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO step (deployment_id, name, state, output, note, error, started_at, ms, undone, starts)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      deploymentId,
      step.name,
      step.state,
      json(step.output),
      step.note,
      json(step.error),
      step.startedAt,
      step.ms,
      step.undone ? 1 : 0,
      step.starts,
    );
}

function putLive(database: Database, live: LiveRecord): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO live (environment_id, project_id, deployment_id, entry, health_check, release)
       VALUES (?, ?, ?, ?, ?, ?)`,
    )
    .run(
      live.environmentId,
      live.projectId,
      live.deploymentId,
      JSON.stringify(live.entry),
      json(live.healthCheck),
      json(live.release),
    );
}

function addReport(database: Database, outbox: Outbox, report: Report): void {
  if (report.kind === 'deployment' && report.status !== 'running') {
    database
      .prepare('UPDATE job SET final = ? WHERE deployment_id = ?')
      .run(JSON.stringify(report), report.deploymentId);
  }
  outbox.add(report);
}

function prune(database: Database, outbox: Outbox, keep: number): readonly string[] {
  const old = database
    .prepare<[number], { deployment_id: string }>(
      `SELECT deployment_id FROM (
         SELECT deployment_id, state, row_number() OVER newest AS age,
           first_value(kind || ' ' || state) OVER newest AS last FROM job
         WINDOW newest AS (PARTITION BY environment_id ORDER BY position DESC)
       ) WHERE age > iif(last = 'remove superseded', 1, ?) AND state NOT IN (${UNFINISHED_STATES})
         AND deployment_id NOT IN (SELECT deployment_id FROM live)
         AND deployment_id NOT IN (SELECT previous_id FROM job
             WHERE previous_id IS NOT NULL AND state IN (${UNFINISHED_STATES}))`,
    )
    .all(keep)
    .map((row) => row.deployment_id)
    // The outbox still has to read its log files.
    .filter((deploymentId) => !outbox.hasLogsOf(deploymentId));
  const remove = database.prepare('DELETE FROM job WHERE deployment_id = ?');
  database.transaction(() => old.forEach((deploymentId) => remove.run(deploymentId)))();
  return old;
}

const json = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value));

const mapped = <Row, Out>(row: Row | undefined, map: (row: Row) => Out): Out | null =>
  row === undefined ? null : map(row);
