/** Steps of deployments as their hosts report them. */
import { STEP_NAMES, type StepName, StepOutputs } from '../../protocol/steps.ts';
import type { Step } from '../model/step.ts';
import type { Db } from './database.ts';
import { addStepEvent, parseError } from './events.ts';
import type { Row } from './schema.ts';

/** Stores the latest state of a step, and its event. Call it in a transaction. */
export async function putStep(db: Db, deploymentId: string, step: Step): Promise<void> {
  const values = {
    status: step.status,
    started_at: step.startedAt,
    ms: step.ms,
    output: step.output === null || step.output === undefined ? null : JSON.stringify(step.output),
    note: step.note,
    error: step.error === null ? null : JSON.stringify(step.error),
  };
  await db
    .insertInto('step')
    .values({ deployment_id: deploymentId, name: step.name, ...values })
    .onConflict((conflict) => conflict.columns(['deployment_id', 'name']).doUpdateSet(values))
    .execute();
  await addStepEvent(db, deploymentId, step);
}

/** In the order of the pipeline. */
export async function listSteps(db: Db, deploymentId: string): Promise<Step[]> {
  const rows = await db.selectFrom('step').selectAll().where('deployment_id', '=', deploymentId).execute();
  return rows.map(toStep).sort((a, b) => STEP_NAMES.indexOf(a.name) - STEP_NAMES.indexOf(b.name));
}

/** The step at which the deployment failed; null if it did not fail in a step. */
export async function findFailedStep(db: Db, deploymentId: string): Promise<StepName | null> {
  const step = await db
    .selectFrom('step')
    .select('name')
    .where('deployment_id', '=', deploymentId)
    .where('status', '=', 'failed')
    .executeTakeFirst();
  return step?.name ?? null;
}

function toStep(row: Row<'step'>): Step {
  return {
    name: row.name,
    status: row.status,
    startedAt: row.started_at,
    ms: row.ms,
    note: row.note,
    output: row.output === null ? null : readOutput(row.name, row.output),
    error: parseError(row.error),
  };
}

/** Parsed, so that fields added since get their defaults; null when it no longer matches the schema. */
function readOutput(name: Row<'step'>['name'], text: string): unknown {
  const output = StepOutputs[name].safeParse(JSON.parse(text));
  return output.success ? output.data : null;
}
