/**
 * Stores the reports of hosts. Reports are numbered, arrive in order and may be repeated. They are authoritative: where
 * the hub had to assume (ORK_HOST_LOST), the report wins.
 */
import type { Report } from '../../protocol/agent-link.ts';
import { type ErrorReport, OrkestrError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { isStepOfABuild, StepOutputs } from '../../protocol/steps.ts';
import { notifyOfDeployment } from '../notify/deployment-notice.ts';
import { isLostAssumption, leaseEnd } from '../scheduler/lease.ts';
import type { Db } from '../store/database.ts';
import { changeStatus, findOnHost, handOver, isOpen, listLive, raiseGenerations } from '../store/deployments.ts';
import { raiseApplied } from '../store/edge-revisions.ts';
import { getAcknowledged, setAcknowledged } from '../store/hosts.ts';
import { addLogChunk } from '../store/logs.ts';
import { insertRelease } from '../store/releases.ts';
import { deleteRemoval, findRemoval } from '../store/removals.ts';
import type { Row } from '../store/schema.ts';
import { listSteps, putStep } from '../store/steps.ts';
import type { NumberedReport } from './frames.ts';

/**
 * More generations than any environment ever has. A higher number is bogus and must not become the base of new ones.
 */
const MAX_GENERATIONS = 2 ** 31;

type StatusReport = Extract<Report, { kind: 'deployment' }>;

/** Changes by a batch of reports, to be acted on after the commit. */
interface ReportEffects {
  /** All reports up to this number are stored. */
  readonly acknowledged: number;
  /** Deployments with news. */
  readonly changed: ReadonlySet<string>;
  /** Deployments that are built and continue on their serving host. */
  readonly built: ReadonlySet<string>;
  /** Deployments with a newer generation now, whose job must be sent again. */
  readonly renumbered: ReadonlySet<string>;
  /** Environments in which a deployment ended, so that the next one may start. */
  readonly ended: ReadonlySet<string>;
}

interface Batch {
  readonly db: Db;
  readonly log: Logger;
  readonly hostId: string;
  readonly now: string;
  readonly changed: Set<string>;
  readonly built: Set<string>;
  readonly renumbered: Set<string>;
  readonly ended: Set<string>;
}

/**
 * Stores reports of one host in order, together with the number of the last one, in one transaction. Reports that are
 * stored already are skipped.
 * @throws OrkestrError ORK_PROTOCOL when a number is missing: nothing of the batch is stored then.
 */
export async function applyReports(
  db: Db,
  log: Logger,
  hostId: string,
  reports: readonly NumberedReport[],
  now: string,
): Promise<ReportEffects> {
  const changed = new Set<string>();
  const built = new Set<string>();
  const renumbered = new Set<string>();
  const ended = new Set<string>();
  const acknowledged = await db.transaction().execute(async (trx) => {
    let last = await getAcknowledged(trx, hostId);
    for (const { sequence, report, problem } of reports) {
      if (sequence <= last) continue;
      if (sequence !== last + 1) {
        throw new OrkestrError('ORK_PROTOCOL', `Report ${sequence} came after ${last}: those between are missing.`);
      }
      if (problem !== undefined) log.error({ hostId, sequence, problem }, 'a report cannot be read, or not whole');
      if (report !== null) await applyReport({ db: trx, log, hostId, now, changed, built, renumbered, ended }, report);
      last = sequence;
    }
    await setAcknowledged(trx, hostId, last);
    return last;
  });
  return { acknowledged, changed, built, renumbered, ended };
}

async function applyReport(batch: Batch, report: Report): Promise<void> {
  const deployment = await findOnHost(batch.db, batch.hostId, report.deploymentId);
  // The deployment is gone, on another host or was never sent. The report still counts, so that the host is not stuck.
  if (deployment === undefined || deployment.sent_at === null) return applyElsewhere(batch, report);
  batch.changed.add(deployment.id);
  switch (report.kind) {
    case 'step':
      return applyStep(batch, deployment, report);
    case 'deployment':
      return applyStatus(batch, deployment, report);
    case 'log':
      await addLogChunk(batch.db, deployment.id, {
        step: report.step,
        offset: report.offset,
        bytes: Buffer.from(report.data, 'base64'),
      });
      return;
  }
}

async function applyElsewhere(batch: Batch, report: Report): Promise<void> {
  const { db, hostId, log } = batch;
  const removal = await findRemoval(db, hostId, report.deploymentId);
  if (removal !== undefined && report.kind === 'deployment') return applyRemoval(batch, removal, report);
  log.warn(
    { hostId, deploymentId: report.deploymentId, kind: report.kind },
    'a report about nothing that this host has',
  );
}

async function applyRemoval(
  { db, hostId, log }: Batch,
  { id, environment_id: environmentId }: Row<'removal'>,
  { status, error }: StatusReport,
): Promise<void> {
  if (status === 'superseded') return deleteRemoval(db, id);
  if (status !== 'failed') return;
  log.warn({ hostId, environmentId, error }, 'a deleted environment is not off its host yet; the host is asked again');
}

async function applyStep(
  batch: Batch,
  deployment: Row<'deployment'>,
  report: Extract<Report, { kind: 'step' }>,
): Promise<void> {
  if (deployment.status === 'queued') {
    await changeStatus(batch.db, deployment.id, { status: 'running', started_at: report.startedAt });
  }
  await putStep(batch.db, deployment.id, {
    name: report.step,
    status: report.status,
    startedAt: report.startedAt,
    ms: report.ms,
    note: report.note ?? null,
    output: checkedOutput(batch, report),
    error: report.error ?? null,
  });
}

/** Stores and shows only output of the shape that the step declares. */
function checkedOutput(batch: Batch, report: Extract<Report, { kind: 'step' }>): unknown {
  if (report.output === undefined || report.output === null) return null;
  const output = StepOutputs[report.step].safeParse(report.output);
  if (output.success) return output.data;
  batch.log.warn({ hostId: batch.hostId, step: report.step }, 'a step output that this version does not know');
  return null;
}

/**
 * Ignores reports of an older generation or of an ended deployment: its end is final. A host that only builds cannot
 * report "live".
 */
const countsFor = (deployment: Row<'deployment'>, { generation, status }: StatusReport): boolean =>
  generation === deployment.generation &&
  (isOpen(deployment) || isLostAssumption(deployment)) &&
  !(status === 'live' && deployment.host_id === deployment.build_host_id);

async function applyStatus(batch: Batch, deployment: Row<'deployment'>, report: StatusReport): Promise<void> {
  if (!countsFor(deployment, report)) return;
  const { db } = batch;
  if (isStale(report) && (await mayBeSentAgain(db, deployment))) return renumber(batch, deployment, report.newest);
  const started_at = deployment.started_at ?? report.at;
  if (report.status === 'running') {
    if (deployment.status === 'running') return;
    await changeStatus(db, deployment.id, { status: 'running', started_at, error: null, finished_at: null });
    return;
  }
  if (report.status === 'built') return applyBuilt(batch, deployment);
  batch.ended.add(deployment.environment_id);
  const end = { started_at, finished_at: report.at, lease_expires_at: null };
  if (report.status !== 'live') {
    await changeStatus(db, deployment.id, { ...end, status: report.status, error: errorOf(report) });
    return notifyOfDeployment(db, deployment, batch.now);
  }
  const newerIsLive = await supersede(batch, deployment);
  await changeStatus(db, deployment.id, { ...end, status: newerIsLive ? 'superseded' : 'live', error: null });
  if (!newerIsLive) await raiseApplied(db, deployment.environment_id, deployment.edge_revision);
  if (report.release?.deploymentId === deployment.id)
    await insertRelease(db, deployment.environment_id, report.release);
  await notifyOfDeployment(db, deployment, batch.now);
}

/** Only the hub may assume that a host is lost. From a host, the code would turn a final end into an assumption. */
const errorOf = ({ error }: StatusReport): ErrorReport | null =>
  error?.code === 'ORK_HOST_LOST' ? { ...error, code: 'ORK_CODE_UNKNOWN' } : (error ?? null);

/** The host has seen newer generations than this hub: the hub was restored from a backup. */
const isStale = (report: StatusReport): report is StatusReport & { readonly newest: number } =>
  report.error?.code === 'ORK_GENERATION_STALE' && report.newest !== undefined && report.newest < MAX_GENERATIONS;

/**
 * The deployment is not cancelled, and this host has not started it. It may be running already if another host built
 * it.
 */
async function mayBeSentAgain(db: Db, deployment: Row<'deployment'>): Promise<boolean> {
  if (deployment.cancel_requested === 1) return false;
  if (deployment.status === 'queued') return true;
  const { build_host_id: builder, host_id: host } = deployment;
  if (deployment.status !== 'running' || builder === null || host === builder) return false;
  return (await listSteps(db, deployment.id)).every(({ name }) => isStepOfABuild(name));
}

async function renumber({ db, log, hostId, renumbered }: Batch, deployment: Row<'deployment'>, newest: number) {
  const { id, environment_id: environmentId, generation } = deployment;
  log.warn({ hostId, environmentId, generation, newest }, 'the host has had newer generations: numbered on from there');
  await raiseGenerations(db, deployment, newest + 1);
  renumbered.add(id);
}

/**
 * Hands the deployment over to its serving host. It ends here if it was given up meanwhile or cancelled at the last
 * moment.
 */
async function applyBuilt(batch: Batch, deployment: Row<'deployment'>): Promise<void> {
  const { db, now } = batch;
  if (!isOpen(deployment) || deployment.build_host_id === null) return;
  if (deployment.cancel_requested === 1) {
    batch.ended.add(deployment.environment_id);
    await changeStatus(db, deployment.id, { status: 'cancelled', finished_at: now, lease_expires_at: null });
    return;
  }
  batch.built.add(deployment.id);
  await handOver(db, deployment.id, leaseEnd(new Date(now)));
}

/** Marks older live deployments as superseded. True when a newer one is already live: this report came late. */
async function supersede(batch: Batch, deployment: Row<'deployment'>): Promise<boolean> {
  const live = await listLive(batch.db, deployment.environment_id);
  const older = live.filter(({ generation }) => generation < deployment.generation);
  for (const { id } of older) {
    await changeStatus(batch.db, id, { status: 'superseded' });
    batch.changed.add(id);
  }
  return live.length > older.length;
}
