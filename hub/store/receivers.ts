/** Receivers of notifications. The address and the signing secret are sealed and bound to their row. */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import { isUniqueViolation, type Db } from './database.ts';
import { notFound } from './not-found.ts';
import type { Row } from './schema.ts';

/** Owner: a team, or one of its projects. */
export interface ReceiverPlace {
  readonly teamId: string;
  readonly projectId: string | null;
}

/** The sealed part. */
export const ReceiverSettings = z.object({
  /** URL or mailbox, depending on the kind. */
  address: z.string(),
  /** Signs messages; null for kinds that do not sign. */
  secret: z.string().nullable(),
});
export type ReceiverSettings = z.infer<typeof ReceiverSettings>;

/** @throws OrkestrError ORK_CONFLICT when the name exists */
export async function insertReceiver(
  db: Db,
  sealer: Sealer,
  { teamId, projectId }: ReceiverPlace,
  receiver: Pick<Row<'receiver'>, 'name' | 'kind' | 'shown' | 'kinds' | 'created_at'>,
  settings: ReceiverSettings,
): Promise<void> {
  const id = randomUUIDv7();
  const sealed = sealer.seal(JSON.stringify(settings), sealContext(id));
  try {
    await db
      .insertInto('receiver')
      .values({ id, team_id: teamId, project_id: projectId, settings: sealed, quiet_until: null, ...receiver })
      .execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new OrkestrError('ORK_CONFLICT', `There is already a receiver "${receiver.name}".`, { cause: error });
  }
}

/** The receivers of exactly this owner, by name. */
export function listReceivers(db: Db, place: ReceiverPlace): Promise<Row<'receiver'>[]> {
  return at(db, place).orderBy('name').execute();
}

/** The receivers of an event in a team. */
export interface Audience {
  readonly teamId: string;
  /** Projects concerned: their own receivers are included. */
  readonly projectIds: readonly string[];
}

export function listHearing(db: Db, { teamId, projectIds }: Audience): Promise<Row<'receiver'>[]> {
  return db
    .selectFrom('receiver')
    .selectAll()
    .where('team_id', '=', teamId)
    .where((where) =>
      where.or([
        where('project_id', 'is', null),
        ...(projectIds.length === 0 ? [] : [where('project_id', 'in', projectIds)]),
      ]),
    )
    .execute();
}

/** @throws OrkestrError ORK_NOT_FOUND */
export async function getReceiver(db: Db, place: ReceiverPlace, name: string): Promise<Row<'receiver'>> {
  const found = await at(db, place).where('name', '=', name).executeTakeFirst();
  if (found === undefined) throw notFound('receiver', name);
  return found;
}

export async function deleteReceiver(db: Db, id: string): Promise<void> {
  await db.deleteFrom('receiver').where('id', '=', id).execute();
}

/** The address in plain text, for sending only. */
export const openReceiver = (sealer: Sealer, { id, settings }: Row<'receiver'>): ReceiverSettings =>
  ReceiverSettings.parse(JSON.parse(sealer.open(settings, sealContext(id))));

const at = (db: Db, { teamId, projectId }: ReceiverPlace) =>
  db.selectFrom('receiver').selectAll().where('team_id', '=', teamId).where('project_id', 'is', projectId);

const sealContext = (id: string): string => `receiver/${id}`;
