/** Log chunks: raw bytes by deployment, step and byte offset. The same chunk twice is one. */
import { setImmediate as turn } from 'node:timers/promises';
import { sql, type RawBuilder } from 'kysely';
import { STEP_NAMES, type StepName } from '../../protocol/steps.ts';
import type { Db } from './database.ts';
import { addLogEvent } from './events.ts';

/** Most log bytes that a deployment may have here: the agent cuts earlier, this is the second line. */
export const LOG_CAP_BYTES = 16 * 1024 * 1024;
const CUT_MARK = '\n[orkestr: the log was cut here, it reached 16 MiB]\n';
/** Deployments of an environment whose logs stay; with the cap above an environment's logs have a largest size. */
const LOGS_KEPT = 100;
/** Deployments that lose their log at once: more than the one that has just become too old, so that a backlog comes to its end. */
const FORGOTTEN_AT_ONCE = 4;
/** Deployments of a deleted environment that are gone through at once. */
const DEPLOYMENTS_AT_ONCE = 50;
/** Tables with what a deployment has told, and rows deleted of each at once: chunks are up to 64 KiB each. */
const TOLD = [
  ['log_chunk', 128],
  ['event', 500],
  ['step', 500],
] as const;
/** Chunks read at once for a download. */
const PAGE = 64;

/** Store a chunk and its event; false when it was there already or the log is full. Call it in a transaction. */
export async function addLogChunk(
  db: Db,
  deploymentId: string,
  chunk: { readonly step: StepName; readonly offset: number; readonly bytes: Uint8Array },
): Promise<boolean> {
  if (chunk.bytes.length === 0) return false;
  if (await takeRoom(db, deploymentId, chunk.bytes.length)) return insertChunk(db, deploymentId, chunk);
  if (!(await markCut(db, deploymentId))) return false;
  return insertChunk(db, deploymentId, { ...chunk, bytes: Buffer.from(CUT_MARK) });
}

/** The log of a step from its first byte on. Bytes that two chunks carry come once. */
export async function* readLog(db: Db, deploymentId: string, step: StepName): AsyncGenerator<Uint8Array> {
  let after = -1;
  let position = 0;
  for (;;) {
    const chunks = await db
      .selectFrom('log_chunk')
      .select(['byte_offset', 'bytes'])
      .where('deployment_id', '=', deploymentId)
      .where('step', '=', step)
      .where('byte_offset', '>', after)
      .orderBy('byte_offset')
      .limit(PAGE)
      .execute();
    for (const { byte_offset, bytes } of chunks) {
      const seen = Math.max(0, position - byte_offset);
      if (seen < bytes.length) yield bytes.subarray(seen);
      position = Math.max(position, byte_offset + bytes.length);
      after = byte_offset;
    }
    if (chunks.length < PAGE) return;
  }
}

/** The steps that have a log, in the order of the pipeline. */
export async function listLoggedSteps(db: Db, deploymentId: string): Promise<StepName[]> {
  const rows = await db
    .selectFrom('log_chunk')
    .select('step')
    .distinct()
    .where('deployment_id', '=', deploymentId)
    .execute();
  return STEP_NAMES.filter((name) => rows.some(({ step }) => step === name));
}

/**
 * Let go of the logs of all but the newest deployments of an environment, and of the events that name them. What became
 * of those deployments stays. One that has not ended keeps its log whatever its age.
 */
export async function forgetOldLogs(db: Db, environmentId: string, kept = LOGS_KEPT): Promise<void> {
  const oldest = await db
    .selectFrom('deployment')
    .select('generation')
    .where('environment_id', '=', environmentId)
    .orderBy('generation', 'desc')
    .offset(kept - 1)
    .limit(1)
    .executeTakeFirst();
  if (oldest === undefined) return;
  const old = await db
    .selectFrom('deployment')
    .select('id')
    .where('environment_id', '=', environmentId)
    .where('generation', '<', oldest.generation)
    // As the index deployment_with_log has it: those whose log is gone already are not looked at, however many there are.
    .where((row) => row('log_bytes', '>', row.lit(0)))
    .where('finished_at', 'is not', null)
    // The newest first: older versions left the count of those whose log is gone, and those that just became too old do not wait for them.
    .orderBy('generation', 'desc')
    .limit(FORGOTTEN_AT_ONCE)
    .execute();
  for (const { id } of old) {
    await db.deleteFrom('log_chunk').where('deployment_id', '=', id).execute();
    await db.deleteFrom('event').where('deployment_id', '=', id).where('kind', '=', 'log').execute();
    await db.updateTable('deployment').set({ log_bytes: 0 }).where('id', '=', id).execute();
  }
}

/**
 * Deletes what the deployments of an environment have told, logs and steps, bit by bit, and lets the hub do other things in
 * between: together it may be more than a GiB. For one that is about to be deleted; not in a transaction.
 */
export async function deleteTold(db: Db, environmentId: string): Promise<void> {
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
    const ids = sql.join(page.map(({ id }) => id));
    for (const [table, rows] of TOLD) await untilNone(db, deletion(table, ids, rows));
    after = page.at(-1)?.generation ?? after;
  }
}

const deletion = (table: string, ids: RawBuilder<unknown>, rows: number): RawBuilder<unknown> =>
  sql`delete from ${sql.table(table)} where rowid in
    (select rowid from ${sql.table(table)} where deployment_id in (${ids}) limit ${rows})`;

async function untilNone(db: Db, deletion: RawBuilder<unknown>): Promise<void> {
  for (;;) {
    const { numAffectedRows = 0n } = await deletion.execute(db);
    if (numAffectedRows === 0n) return;
    await turn();
  }
}

async function takeRoom(db: Db, deploymentId: string, bytes: number): Promise<boolean> {
  const result = await db
    .updateTable('deployment')
    .set((row) => ({ log_bytes: row('log_bytes', '+', bytes) }))
    .where('id', '=', deploymentId)
    .where('log_bytes', '<=', LOG_CAP_BYTES - bytes)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** True for the first chunk that does not fit: it becomes the mark, and nothing comes after it. */
async function markCut(db: Db, deploymentId: string): Promise<boolean> {
  const result = await db
    .updateTable('deployment')
    .set({ log_bytes: LOG_CAP_BYTES + 1 })
    .where('id', '=', deploymentId)
    .where('log_bytes', '<=', LOG_CAP_BYTES)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

async function insertChunk(
  db: Db,
  deploymentId: string,
  chunk: { readonly step: StepName; readonly offset: number; readonly bytes: Uint8Array },
): Promise<boolean> {
  const result = await db
    .insertInto('log_chunk')
    .values({ deployment_id: deploymentId, step: chunk.step, byte_offset: chunk.offset, bytes: chunk.bytes })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (result.numInsertedOrUpdatedRows === 0n) return false;
  await addLogEvent(db, deploymentId, chunk.step, chunk.offset);
  return true;
}
