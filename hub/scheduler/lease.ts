/** How long a host may hold a job without a word. */
import type { CoreDeps } from '../deps.ts';
import { changeStatus, findOnHost, listSent } from '../store/deployments.ts';
import { parseError } from '../store/events.ts';
import type { Row } from '../store/schema.ts';

/** A host renews well within this. */
export const LEASE_SECONDS = 60;
/** How long after its lease ran out an absent host's deployment is given up. A reboot must fit in. */
export const GRACE_SECONDS = 600;

/** A host that holds a job has not been heard for so long, ms, when its deployment is given up. */
export const LOST_AFTER_MS = (LEASE_SECONDS + GRACE_SECONDS) * 1000;

export const leaseEnd = (now: Date): string => new Date(now.getTime() + LEASE_SECONDS * 1000).toISOString();

/** When it was last renewed, ms since the epoch. */
export const leaseBegin = (end: string | null): number => (end === null ? 0 : Date.parse(end) - LEASE_SECONDS * 1000);

/** Failed because its host was away, not because anyone said so: the truth, when it comes, wins. */
export const isLostAssumption = (deployment: Pick<Row<'deployment'>, 'status' | 'error'>): boolean =>
  deployment.status === 'failed' && parseError(deployment.error)?.code === 'ORK_HOST_LOST';

/** The host works on these still. Answers those of them that it holds a lease for. */
export async function renewLeases(
  { db, clock }: Pick<CoreDeps, 'db' | 'clock'>,
  hostId: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  const held = (await listSent(db, hostId)).filter(({ id }) => ids.includes(id)).map(({ id }) => id);
  if (held.length > 0) {
    await db
      .updateTable('deployment')
      .set({ lease_expires_at: leaseEnd(clock.now()) })
      .where('id', 'in', held)
      .execute();
  }
  return held;
}

/** Whether it was taken for lost and is alive: then it runs again. */
export function reviveLost(
  { db, clock }: Pick<CoreDeps, 'db' | 'clock'>,
  hostId: string,
  id: string,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const deployment = await findOnHost(trx, hostId, id);
    if (deployment === undefined || !isLostAssumption(deployment)) return false;
    await changeStatus(trx, id, {
      status: 'running',
      error: null,
      finished_at: null,
      lease_expires_at: leaseEnd(clock.now()),
    });
    return true;
  });
}
