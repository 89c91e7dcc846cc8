/** Users and their team memberships. */
import type { Db } from './database.ts';
import { notFound } from './not-found.ts';
import type { NewRow, Row } from './schema.ts';

export async function insertUser(db: Db, user: NewRow<'user'>): Promise<void> {
  await db.insertInto('user').values(user).execute();
}

export async function insertMembership(db: Db, membership: NewRow<'membership'>): Promise<void> {
  await db.insertInto('membership').values(membership).execute();
}

/** @throws OrkestrError ORK_NOT_FOUND */
export async function getUser(db: Db, userId: string): Promise<Row<'user'>> {
  const user = await db.selectFrom('user').selectAll().where('id', '=', userId).executeTakeFirst();
  if (user === undefined) throw notFound('user', userId);
  return user;
}

/** Of the oldest team. */
export function findFirstOwner(db: Db): Promise<Row<'membership'> | undefined> {
  return db.selectFrom('membership').selectAll().where('role', '=', 'owner').orderBy('team_id').executeTakeFirst();
}

export async function hasAnyUser(db: Db): Promise<boolean> {
  return (await db.selectFrom('user').select('id').limit(1).executeTakeFirst()) !== undefined;
}
