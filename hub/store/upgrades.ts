/** Rows of upgrades across hosts. upgrades/advance.ts decides on their next steps. */
import { randomUUIDv7 } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import { hasFailed, HOST_STATES, type HostRollout, isUnderWay, type Rollout } from '../model/rollout.ts';
import type { Db } from './database.ts';
import { parseError } from './events.ts';
import { notFound } from './not-found.ts';
import type { Row } from './schema.ts';

/** States in which an upgrade is not over. */
const OPEN = ['running', 'paused'] as const;
const PAGE = 20;
/** Newest upgrades kept per team; each has a row for every host. */
const MAX_KEPT = 100;

export interface StoredUpgrade {
  readonly upgrade: Row<'upgrade'>;
  /** In the order of their upgrades. */
  readonly hosts: readonly (Row<'upgrade_host'> & { readonly host_name: string })[];
}

/** @throws OrkestrError ORK_CONFLICT while another upgrade of the team is open. Call it in a transaction. */
export async function insertUpgrade(
  db: Db,
  upgrade: Pick<Row<'upgrade'>, 'team_id' | 'version' | 'at_once' | 'created_at'>,
  hostIds: readonly string[],
): Promise<string> {
  const open = await db
    .selectFrom('upgrade')
    .selectAll()
    .where('team_id', '=', upgrade.team_id)
    .where('state', 'in', OPEN)
    .executeTakeFirst();
  if (open !== undefined) {
    throw new OrkestrError(
      'ORK_CONFLICT',
      `The upgrade ${open.id} to ${open.version} is ${open.state}. Wait for it to finish, or resume or cancel it first.`,
    );
  }
  const id = randomUUIDv7();
  await db
    .insertInto('upgrade')
    .values({ id, ...upgrade, state: 'running' })
    .execute();
  const rows = hostIds.map((host_id, position) => ({
    upgrade_id: id,
    host_id,
    position,
    state: 'waiting' as const,
    order_id: randomUUIDv7(),
  }));
  await db.insertInto('upgrade_host').values(rows).execute();
  await deleteOld(db, upgrade.team_id);
  return id;
}

/**
 * All older upgrades are over, since only then a new one may start; but hosts of a cancelled one may still be under
 * way.
 */
async function deleteOld(db: Db, teamId: string): Promise<void> {
  const oldestKept = db
    .selectFrom('upgrade')
    .select('id')
    .where('team_id', '=', teamId)
    .orderBy('id', 'desc')
    .offset(MAX_KEPT - 1)
    .limit(1);
  await db
    .deleteFrom('upgrade')
    .where('team_id', '=', teamId)
    .where('id', '<', oldestKept)
    .where('id', 'not in', (row) =>
      row.selectFrom('upgrade_host').select('upgrade_id').where('state', 'in', HOST_STATES.filter(isUnderWay)),
    )
    .execute();
}

/** Newest first. */
export async function listUpgrades(db: Db, teamId: string): Promise<StoredUpgrade[]> {
  const rows = await db
    .selectFrom('upgrade')
    .selectAll()
    .where('team_id', '=', teamId)
    .orderBy('id', 'desc')
    .limit(PAGE)
    .execute();
  return Promise.all(rows.map((upgrade) => withHosts(db, upgrade)));
}

/** @throws OrkestrError ORK_NOT_FOUND, also for those of other teams */
export async function getUpgrade(db: Db, teamId: string, id: string): Promise<StoredUpgrade> {
  const found = await findUpgrade(db, id);
  if (found?.upgrade.team_id !== teamId) throw notFound('upgrade', id);
  return found;
}

export async function findUpgrade(db: Db, id: string): Promise<StoredUpgrade | undefined> {
  const upgrade = await db.selectFrom('upgrade').selectAll().where('id', '=', id).executeTakeFirst();
  return upgrade && withHosts(db, upgrade);
}

/** Ids of open upgrades, and of cancelled ones with hosts still under way; of one host or of all. */
export async function listMovingUpgrades(db: Db, hostId?: string): Promise<string[]> {
  const rows = await db
    .selectFrom('upgrade')
    .select('id')
    .where((where) =>
      where.or([
        // Included even without hosts: if they were deleted, the upgrade must still finish.
        where('state', 'in', OPEN),
        where('id', 'in', (row) =>
          row.selectFrom('upgrade_host').select('upgrade_id').where('state', 'in', HOST_STATES.filter(isUnderWay)),
        ),
      ]),
    )
    .$if(hostId !== undefined, (query) =>
      query.where('id', 'in', (row) =>
        row
          .selectFrom('upgrade_host')
          .select('upgrade_id')
          .where('host_id', '=', hostId ?? ''),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}

/** The host's part of an upgrade, by the id of its order. */
export function findOrder(db: Db, hostId: string, orderId: string): Promise<Row<'upgrade_host'> | undefined> {
  return db
    .selectFrom('upgrade_host')
    .selectAll()
    .where('order_id', '=', orderId)
    .where('host_id', '=', hostId)
    .executeTakeFirst();
}

/** Converted for upgrades/advance.ts. */
export const rolloutOf = ({ upgrade, hosts }: StoredUpgrade): Rollout => ({
  version: upgrade.version,
  atOnce: upgrade.at_once,
  state: upgrade.state,
  hosts: hosts.map(({ host_id, state, error, turn_at }) => ({
    hostId: host_id,
    state,
    error: parseError(error),
    turnAt: turn_at === null ? null : Date.parse(turn_at),
  })),
});

/** Writes the differences to the stored state. */
export async function storeRollout(db: Db, stored: StoredUpgrade, rollout: Rollout, now: string): Promise<void> {
  const { upgrade } = stored;
  if (rollout.state !== upgrade.state) {
    const finished_at = rollout.state === 'done' || rollout.state === 'cancelled' ? now : null;
    await db.updateTable('upgrade').set({ state: rollout.state, finished_at }).where('id', '=', upgrade.id).execute();
  }
  const before = rolloutOf(stored).hosts;
  for (const [index, host] of rollout.hosts.entries()) {
    const was = before[index];
    if (was?.state === host.state && was.turnAt === host.turnAt) continue;
    await changeHost(db, upgrade.id, host.hostId, {
      state: host.state,
      error: host.error === null ? null : JSON.stringify(host.error),
      turn_at: host.turnAt === null ? null : new Date(host.turnAt).toISOString(),
      // A retry needs a new order id: the host would treat the old one as done.
      ...(isAnotherTry(was, host) ? { order_id: randomUUIDv7() } : {}),
    });
  }
}

const isAnotherTry = (was: HostRollout | undefined, { state }: HostRollout): boolean =>
  was !== undefined && hasFailed(was.state) && (state === 'waiting' || state === 'ordered');

async function changeHost(
  db: Db,
  upgradeId: string,
  hostId: string,
  change: Partial<Row<'upgrade_host'>>,
): Promise<void> {
  await db
    .updateTable('upgrade_host')
    .set(change)
    .where('upgrade_id', '=', upgradeId)
    .where('host_id', '=', hostId)
    .execute();
}

async function withHosts(db: Db, upgrade: Row<'upgrade'>): Promise<StoredUpgrade> {
  const hosts = await db
    .selectFrom('upgrade_host')
    .innerJoin('host', 'host.id', 'upgrade_host.host_id')
    .selectAll('upgrade_host')
    .select('host.name as host_name')
    .where('upgrade_id', '=', upgrade.id)
    .orderBy('position')
    .execute();
  return { upgrade, hosts };
}
