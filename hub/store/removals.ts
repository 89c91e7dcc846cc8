/** Removals: what the hosts of deleted environments must still remove, however long they are offline. */
import type { Db } from './database.ts';
import type { NewRow, Row } from './schema.ts';

/** Removals sent at once; the rest follows with a later repetition. */
const MAX_AT_ONCE = 1000;

export async function insertRemovals(db: Db, removals: readonly NewRow<'removal'>[]): Promise<void> {
  await db.insertInto('removal').values(removals).execute();
}

/** Outstanding removals of the host, oldest first; only so many as are sent at once. */
export function listRemovals(db: Db, hostId: string): Promise<Row<'removal'>[]> {
  return db.selectFrom('removal').selectAll().where('host_id', '=', hostId).orderBy('id').limit(MAX_AT_ONCE).execute();
}

/** Hosts with outstanding removals. */
export async function listRemovalHosts(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('removal').select('host_id').distinct().execute();
  return rows.map(({ host_id }) => host_id);
}

export function findRemoval(db: Db, hostId: string, id: string): Promise<Row<'removal'> | undefined> {
  return db.selectFrom('removal').selectAll().where('id', '=', id).where('host_id', '=', hostId).executeTakeFirst();
}

/** The host reported that the removal is done. */
export async function deleteRemoval(db: Db, id: string): Promise<void> {
  await db.deleteFrom('removal').where('id', '=', id).execute();
}
