/** API tokens, stored as hashes only. */
import type { Db } from './database.ts';
import type { NewRow, Row } from './schema.ts';

/** `last_used_at` is written at most this often per token, ms, so that API reads do not all cause disk writes. */
const TOUCH_EVERY_MS = 60_000;

export async function insertToken(db: Db, token: NewRow<'api_token'>): Promise<void> {
  await db.insertInto('api_token').values(token).execute();
}

export function findTokenByHash(db: Db, hash: string): Promise<Row<'api_token'> | undefined> {
  return db.selectFrom('api_token').selectAll().where('hash', '=', hash).executeTakeFirst();
}

export function listTokens(db: Db, teamId: string): Promise<Row<'api_token'>[]> {
  return db.selectFrom('api_token').selectAll().where('team_id', '=', teamId).orderBy('id').execute();
}

/** Records that the token was used at `now` (ISO 8601). */
export async function touchToken(db: Db, token: Row<'api_token'>, now: string): Promise<void> {
  if (token.last_used_at !== null && Date.parse(now) - Date.parse(token.last_used_at) < TOUCH_EVERY_MS) return;
  await db.updateTable('api_token').set({ last_used_at: now }).where('id', '=', token.id).execute();
}

/** Deletes the token and, by cascade, its sessions. False when the team has no such token. */
export async function deleteToken(db: Db, teamId: string, tokenId: string): Promise<boolean> {
  const result = await db
    .deleteFrom('api_token')
    .where('id', '=', tokenId)
    .where('team_id', '=', teamId)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}
