/** Log chunks: raw bytes by deployment, step and byte offset. A repeated chunk is stored once. */
import { STEP_NAMES, type StepName } from '../../protocol/steps.ts';
import type { Db } from './database.ts';
import { addLogEvent } from './events.ts';

/** Log limit of a deployment. The agent cuts earlier; this is the second line of defence. */
export const LOG_CAP_BYTES = 16 * 1024 * 1024;
/** Minimum size that a chunk counts: even a tiny one takes a row and an event. */
const LEAST_CHUNK_BYTES = 256;
const CUT_MARK = '\n[orkestr: the log was cut here because it reached 16 MiB]\n';
/** Chunks read at once for a download. */
const PAGE = 64;

/** Stores a chunk and its event; false when it exists already or the log is full. Call it in a transaction. */
export async function addLogChunk(
  db: Db,
  deploymentId: string,
  chunk: { readonly step: StepName; readonly offset: number; readonly bytes: Uint8Array },
): Promise<boolean> {
  if (chunk.bytes.length === 0) return false;
  if (await takeRoom(db, deploymentId, Math.max(LEAST_CHUNK_BYTES, chunk.bytes.length)))
    return insertChunk(db, deploymentId, chunk);
  if (!(await markCut(db, deploymentId))) return false;
  return insertChunk(db, deploymentId, { ...chunk, bytes: Buffer.from(CUT_MARK) });
}

/** The log of a step from its first byte. Overlapping bytes of two chunks are emitted once. */
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

async function takeRoom(db: Db, deploymentId: string, bytes: number): Promise<boolean> {
  const result = await db
    .updateTable('deployment')
    .set((row) => ({ log_bytes: row('log_bytes', '+', bytes) }))
    .where('id', '=', deploymentId)
    .where('log_bytes', '<=', LOG_CAP_BYTES - bytes)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** True for the first chunk that does not fit: it is replaced by the mark, and nothing follows. */
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
