/** Console sessions: each is bound to the API token it was opened with and ends with it. */
import type { Db } from './database.ts';
import type { NewRow, Row } from './schema.ts';

/** Stores a session and deletes the expired ones. */
export async function insertSession(db: Db, session: NewRow<'session'>): Promise<void> {
  await db.deleteFrom('session').where('expires_at', '<=', session.created_at).execute();
  await db.insertInto('session').values(session).execute();
}

/** The API token of a session that is valid at `now` (ISO 8601). */
export function findSessionToken(db: Db, hash: string, now: string): Promise<Row<'api_token'> | undefined> {
  return db
    .selectFrom('session')
    .innerJoin('api_token', 'api_token.id', 'session.token_id')
    .selectAll('api_token')
    .where('session.hash', '=', hash)
    .where('session.expires_at', '>', now)
    .executeTakeFirst();
}

export async function deleteSession(db: Db, hash: string): Promise<void> {
  await db.deleteFrom('session').where('hash', '=', hash).execute();
}
