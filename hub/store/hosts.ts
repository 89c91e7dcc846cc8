/** Hosts: their identity (public key, join token) and last reported status. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { HostStatus } from '../../protocol/agent-link.ts';
import { isReferenceViolation, isUniqueViolation } from './database.ts';
import type { Db } from './database.ts';
import { notFound } from './not-found.ts';
import type { NewRow, Row } from './schema.ts';

/** @throws OrkestrError ORK_CONFLICT when the team has a host of that name. */
export async function insertHost(db: Db, host: NewRow<'host'>): Promise<void> {
  try {
    await db.insertInto('host').values(host).execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new OrkestrError('ORK_CONFLICT', `The team already has a host "${host.name}".`, { cause: error });
  }
}

export function listHosts(db: Db, teamId: string): Promise<Row<'host'>[]> {
  return db.selectFrom('host').selectAll().where('team_id', '=', teamId).orderBy('name').execute();
}

/** @throws OrkestrError ORK_NOT_FOUND */
export async function getHost(db: Db, teamId: string, hostId: string): Promise<Row<'host'>> {
  const host = await db
    .selectFrom('host')
    .selectAll()
    .where('id', '=', hostId)
    .where('team_id', '=', teamId)
    .executeTakeFirst();
  if (host === undefined) throw notFound('host', hostId);
  return host;
}

/** For the agent link, which authenticates by the host's key instead of a team. */
export function findHostById(db: Db, hostId: string): Promise<Row<'host'> | undefined> {
  return db.selectFrom('host').selectAll().where('id', '=', hostId).executeTakeFirst();
}

/** Stores a new join token (its hash). The host's current key stays valid until the token is used. */
export async function setJoinToken(db: Db, hostId: string, hash: string, expiresAt: string): Promise<void> {
  await db
    .updateTable('host')
    .set({ join_token_hash: hash, join_token_expires_at: expiresAt, join_token_used_at: null })
    .where('id', '=', hostId)
    .execute();
}

/**
 * Uses up a join token: from now on the holder of `publicKey` is the host. A retry with the same key and token returns
 * the same host, so a lost response does no harm. Undefined when the token is not valid for this key.
 */
export async function enrolHost(
  db: Db,
  request: { readonly tokenHash: string; readonly publicKey: string; readonly now: string },
): Promise<{ readonly hostId: string; readonly first: boolean } | undefined> {
  const { tokenHash, publicKey, now } = request;
  const taken = await db
    .updateTable('host')
    // `acknowledged` stays: a host with a new journal continues its numbering from the hub's welcome.
    .set({ public_key: publicKey, join_token_used_at: now })
    .where('join_token_hash', '=', tokenHash)
    .where('join_token_expires_at', '>', now)
    .where('join_token_used_at', 'is', null)
    .returning('id')
    .executeTakeFirst();
  if (taken !== undefined) return { hostId: taken.id, first: true };
  const repeated = await db
    .selectFrom('host')
    .select('id')
    .where('join_token_hash', '=', tokenHash)
    .where('join_token_expires_at', '>', now)
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  return repeated && { hostId: repeated.id, first: false };
}

/** Stores a reported status; any status also updates `last_seen_at`. */
export async function recordHostStatus(db: Db, hostId: string, status: HostStatus, now: string): Promise<void> {
  await db
    .updateTable('host')
    .set({ status: JSON.stringify(status), last_seen_at: now })
    .where('id', '=', hostId)
    .execute();
}

/** @throws OrkestrError ORK_CONFLICT while environments are placed on it. */
export async function deleteHost(db: Db, host: Row<'host'>): Promise<void> {
  try {
    await db.deleteFrom('host').where('id', '=', host.id).execute();
  } catch (error) {
    if (!isReferenceViolation(error)) throw error;
    throw new OrkestrError('ORK_CONFLICT', `Environments are placed on the host "${host.name}". Delete them first.`, {
      cause: error,
    });
  }
}

/** Whether the host builds, or only serves images from other hosts. Applies from the next deployment. */
export async function setBuilds(db: Db, hostId: string, builds: boolean): Promise<void> {
  await db
    .updateTable('host')
    .set({ builds: builds ? 1 : 0 })
    .where('id', '=', hostId)
    .execute();
}

/** Number of the newest report of the host that is stored. */
export async function getAcknowledged(db: Db, hostId: string): Promise<number> {
  const host = await db.selectFrom('host').select('acknowledged').where('id', '=', hostId).executeTakeFirstOrThrow();
  return host.acknowledged;
}

/** Call it in the transaction that stores the reports. */
export async function setAcknowledged(db: Db, hostId: string, acknowledged: number): Promise<void> {
  await db.updateTable('host').set({ acknowledged }).where('id', '=', hostId).execute();
}

/** Hosts of all teams that have joined. */
export function listJoined(db: Db): Promise<Row<'host'>[]> {
  return db.selectFrom('host').selectAll().where('public_key', 'is not', null).execute();
}

/** When a notice said that the host is away; null: it is back. Call it in the transaction that queues the notice. */
export async function setAwayTold(db: Db, hostId: string, at: string | null): Promise<void> {
  await db.updateTable('host').set({ away_told_at: at }).where('id', '=', hostId).execute();
}

/** Hosts of the team that built for the environment without serving it. */
export async function listBuilders(db: Db, teamId: string, environmentId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('host')
    .select('host.id')
    .where('team_id', '=', teamId)
    .where((where) =>
      where.exists(
        where
          .selectFrom('deployment')
          .select('deployment.id')
          .where('environment_id', '=', environmentId)
          .whereRef('build_host_id', '=', 'host.id')
          .limit(1),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}
