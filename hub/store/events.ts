/** Event stream of a deployment for its followers. Each event is written in the transaction of its cause. */
import { z } from 'zod';
import { DeploymentStatus } from '../../protocol/agent-link.ts';
import { ErrorReport } from '../../protocol/errors.ts';
import { StepName } from '../../protocol/steps.ts';
import { Step } from '../model/step.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

/** The fields of a deployment that change with its status; the others are joined when the event is sent. */
const StatusChange = z.object({
  status: DeploymentStatus,
  error: ErrorReport.nullable(),
  replacedBy: z.string().nullable(),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
});
type StatusChange = z.infer<typeof StatusChange>;

export type StoredEvent =
  | { readonly id: number; readonly kind: 'status'; readonly change: StatusChange }
  | { readonly id: number; readonly kind: 'step'; readonly step: Step }
  | {
      readonly id: number;
      readonly kind: 'log';
      readonly step: StepName;
      readonly offset: number;
      readonly bytes: Uint8Array;
    };

/**
 * Limit per deployment. Each step starts and ends, and starts again when its host restarts. The step table has the
 * final state.
 */
const MAX_STEP_EVENTS = 200;

/** Records the new status for followers. */
export async function addStatusEvent(db: Db, deployment: Row<'deployment'>): Promise<void> {
  const change: StatusChange = {
    status: deployment.status,
    error: parseError(deployment.error),
    replacedBy: deployment.replaced_by,
    startedAt: deployment.started_at,
    finishedAt: deployment.finished_at,
  };
  await add(db, deployment.id, 'status', change);
}

/** Silently drops events beyond a number that no correct host reaches. */
export async function addStepEvent(db: Db, deploymentId: string, step: Step): Promise<void> {
  const { count } = await db
    .selectFrom('event')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('deployment_id', '=', deploymentId)
    .where('kind', '=', 'step')
    .executeTakeFirstOrThrow();
  if (count < MAX_STEP_EVENTS) await add(db, deploymentId, 'step', step);
}

/** The bytes stay in log_chunk; the event only names the chunk. */
export async function addLogEvent(db: Db, deploymentId: string, step: StepName, offset: number): Promise<void> {
  await add(db, deploymentId, 'log', { step, offset });
}

/** Events after `afterId`, oldest first, at most `limit`. */
export async function listEvents(db: Db, deploymentId: string, afterId: number, limit: number): Promise<StoredEvent[]> {
  const rows = await db
    .selectFrom('event')
    .select(['id', 'kind', 'data'])
    .where('deployment_id', '=', deploymentId)
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit)
    .execute();
  return Promise.all(rows.map((row) => readEvent(db, deploymentId, row)));
}

/** Parses a column with an ErrorReport. */
export const parseError = (json: string | null): ErrorReport | null =>
  json === null ? null : ErrorReport.parse(JSON.parse(json));

const LogReference = z.object({ step: StepName, offset: z.int() });

async function readEvent(
  db: Db,
  deploymentId: string,
  row: { id: number; kind: string; data: string },
): Promise<StoredEvent> {
  const data: unknown = JSON.parse(row.data);
  if (row.kind === 'status') return { id: row.id, kind: 'status', change: StatusChange.parse(data) };
  if (row.kind === 'step') return { id: row.id, kind: 'step', step: Step.parse(data) };
  const { step, offset } = LogReference.parse(data);
  const { bytes } = await db
    .selectFrom('log_chunk')
    .select('bytes')
    .where('deployment_id', '=', deploymentId)
    .where('step', '=', step)
    .where('byte_offset', '=', offset)
    .executeTakeFirstOrThrow();
  return { id: row.id, kind: 'log', step, offset, bytes };
}

async function add(db: Db, deploymentId: string, kind: StoredEvent['kind'], data: unknown): Promise<void> {
  await db
    .insertInto('event')
    .values({ deployment_id: deploymentId, kind, data: JSON.stringify(data) })
    .execute();
}

/** Whether the deployment has ever been failed, whatever it is now. */
export async function hasFailed(db: Db, deploymentId: string): Promise<boolean> {
  const event = await db
    .selectFrom('event')
    .select('id')
    .where('deployment_id', '=', deploymentId)
    .where('kind', '=', 'status')
    .where('data', 'like', '%"status":"failed"%')
    .limit(1)
    .executeTakeFirst();
  return event !== undefined;
}
