/** What deployments have told, and how long it is kept: logs, events, outputs of steps, the variables that they ran with. */
import { setImmediate as turn } from 'node:timers/promises';
import { type NotNull, sql } from 'kysely';
import type { Db } from './database.ts';
import { OPEN } from './deployments.ts';

/** Tables with what a deployment has told, and rows deleted of each at once: chunks are up to 64 KiB each. */
const TOLD = [
  // Before the chunks that they name.
  ['event', 500],
  ['log_chunk', 128],
  ['step', 500],
] as const;
/** Deployments of a deleted environment that are gone through at once. */
const DEPLOYMENTS_AT_ONCE = 20;

/**
 * Lets go of some of what the oldest deployment told that is not among the newest `kept` of its environment. That it was, when,
 * with which steps and how it ended stays, as does its release. What serves or has not ended keeps all, whatever its age.
 * Call it in a transaction, which stays small. False when there is nothing more to let go of.
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
    // As the index deployment_with_details has it: those that are done are not looked at again, however many there are.
    .where((row) => row('details_kept', '=', row.lit(1)))
    .where('status', 'not in', [...OPEN, 'live'])
    // A rollback that waits takes over its variables when it is sent.
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
    if (table === 'step') continue; // a few short rows without their outputs
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

/** Written anew: rows that only got shorter would leave their pages half empty for ever. */
async function forgetOutputs(db: Db, deploymentId: string): Promise<void> {
  const steps = await db.deleteFrom('step').where('deployment_id', '=', deploymentId).returningAll().execute();
  const without = steps.map((step) => ({ ...step, output: null }));
  if (without.length > 0) await db.insertInto('step').values(without).execute();
}

/**
 * Deletes the deployments of an environment that have ended, with all that they have told, bit by bit, and lets the hub do other
 * things in between: together it may be more than a GiB. What serves or has not ended stays, without its logs, and the last one
 * that each host has built: by these it is known who must remove the environment. For one that is about to be deleted; not in a
 * transaction.
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
    .where((row) =>
      row.or([
        row('sent_at', 'is', null),
        row.exists(
          row
            .selectFrom('deployment as later')
            .select('later.id')
            .whereRef('later.environment_id', '=', 'deployment.environment_id')
            .whereRef('later.build_host_id', 'is', 'deployment.build_host_id')
            .whereRef('later.generation', '>', 'deployment.generation')
            .where('later.sent_at', 'is not', null),
        ),
      ]),
    )
    // A rollback that waits needs its release: the environment may stay when all does not go.
    .where((row) =>
      row.not(
        row.exists(
          row
            .selectFrom('deployment as waiting')
            .select('waiting.id')
            .whereRef('waiting.release_of', '=', 'deployment.id')
            .where('waiting.status', 'in', OPEN),
        ),
      ),
    )
    .execute();
}

/** Answers how many there were. */
async function deleteSome(db: Db, table: string, ids: readonly string[], rows: number): Promise<number> {
  const some = sql`select rowid from ${sql.table(table)} where deployment_id in (${sql.join(ids)}) limit ${rows}`;
  const { numAffectedRows = 0n } = await sql`delete from ${sql.table(table)} where rowid in (${some})`.execute(db);
  return Number(numAffectedRows);
}
