/** Details of deployments and their retention: logs, events, step outputs and variables. */
import { setImmediate as turn } from 'node:timers/promises';
import { type NotNull, sql } from 'kysely';
import type { Db } from './database.ts';
import { OPEN } from './deployments.ts';

/** Tables with details, and the rows deleted from each in one statement: log chunks have up to 64 KiB each. */
const TOLD = [
  // Events first: they refer to chunks.
  ['event', 500],
  ['log_chunk', 128],
  ['step', 500],
] as const;
/** Deployments of a deleted environment processed at once. */
const DEPLOYMENTS_AT_ONCE = 20;

/**
 * Prunes some details of the oldest deployment that is not among the newest `kept` of its environment. Its row, times,
 * steps, result and release stay. Live and open deployments keep all details, whatever their age. Call it in a
 * transaction, which stays small. False when there is nothing left to prune.
 */
export async function forgetSome(db: Db, environmentId: string, kept: number): Promise<boolean> {
  const oldestKept = await db
    .selectFrom('deployment')
    .select('generation')
    .where('environment_id', '=', environmentId)
    .orderBy('generation', 'desc')
    .offset(kept - 1)
    .limit(1)
    .executeTakeFirst();
  if (oldestKept === undefined) return false;
  const old = await db
    .selectFrom('deployment')
    .select('id')
    .where('environment_id', '=', environmentId)
    .where('generation', '<', oldestKept.generation)
    // Matches the index deployment_with_details: pruned deployments are skipped, however many there are.
    .where((row) => row('details_kept', '=', row.lit(1)))
    .where('status', 'not in', [...OPEN, 'live'])
    // A waiting rollback copies these variables when it is sent.
    .where('id', 'not in', (row) =>
      row
        .selectFrom('deployment as waiting')
        .select('waiting.release_of')
        .where('waiting.environment_id', '=', environmentId)
        .where('waiting.status', 'in', OPEN)
        .where('waiting.release_of', 'is not', null)
        .$narrowType<{ release_of: NotNull }>(),
    )
    .orderBy('generation')
    .limit(1)
    .executeTakeFirst();
  if (old === undefined) return false;
  for (const [table, rows] of TOLD) {
    if (table === 'step') continue; // its short rows stay, without the outputs
    if ((await deleteSome(db, table, [old.id], rows)) === rows) return true;
  }
  await forgetOutputs(db, old.id);
  await db
    .updateTable('deployment')
    .set({ details_kept: 0, log_bytes: 0, env: null, build_secrets: null })
    .where('id', '=', old.id)
    .execute();
  return true;
}

/** Deletes and inserts instead of an update: rows that only shrink would leave their pages half empty forever. */
async function forgetOutputs(db: Db, deploymentId: string): Promise<void> {
  const steps = await db.deleteFrom('step').where('deployment_id', '=', deploymentId).returningAll().execute();
  const without = steps.map((step) => ({ ...step, output: null }));
  if (without.length > 0) await db.insertInto('step').values(without).execute();
}

/**
 * Deletes the ended deployments of an environment with all their details, in small steps that let other work run in
 * between: together they may exceed a GiB. Live and open deployments stay without their logs, as does the last one
 * built by each host: they tell which hosts must remove the environment. For an environment that is about to be
 * deleted; not in a transaction.
 */
export async function deleteHistory(db: Db, environmentId: string): Promise<void> {
  let after = 0;
  for (;;) {
    const page = await db
      .selectFrom('deployment')
      .select(['id', 'generation'])
      .where('environment_id', '=', environmentId)
      .where('generation', '>', after)
      .orderBy('generation')
      .limit(DEPLOYMENTS_AT_ONCE)
      .execute();
    if (page.length === 0) return;
    const ids = page.map(({ id }) => id);
    for (const [table, rows] of TOLD) {
      while ((await deleteSome(db, table, ids, rows)) === rows) await turn();
      await turn();
    }
    await deleteEnded(db, ids);
    await turn();
    after = page.at(-1)?.generation ?? after;
  }
}

async function deleteEnded(db: Db, ids: readonly string[]): Promise<void> {
  await db
    .deleteFrom('deployment')
    .where('id', 'in', ids)
    .where('status', 'not in', [...OPEN, 'live'])
    .where((eb) =>
      eb.or([
        eb('sent_at', 'is', null),
        eb.exists(
          eb
            .selectFrom('deployment as later')
            .select('later.id')
            .whereRef('later.environment_id', '=', 'deployment.environment_id')
            .whereRef('later.build_host_id', 'is', 'deployment.build_host_id')
            .whereRef('later.generation', '>', 'deployment.generation')
            .where('later.sent_at', 'is not', null),
        ),
      ]),
    )
    // A waiting rollback needs its release: the environment may survive if its deletion fails.
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('deployment as waiting')
            .select('waiting.id')
            .whereRef('waiting.release_of', '=', 'deployment.id')
            .where('waiting.status', 'in', OPEN),
        ),
      ),
    )
    .execute();
}

/** Returns the number of deleted rows. */
async function deleteSome(db: Db, table: string, ids: readonly string[], rows: number): Promise<number> {
  const some = sql`select rowid from ${sql.table(table)} where deployment_id in (${sql.join(ids)}) limit ${rows}`;
  const { numAffectedRows = 0n } = await sql`delete from ${sql.table(table)} where rowid in (${some})`.execute(db);
  return Number(numAffectedRows);
}
