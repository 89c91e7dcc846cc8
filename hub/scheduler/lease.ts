/** Leases: how long a host may hold a job without renewing. */
import type { CoreDeps } from '../deps.ts';
import { changeStatus, extendLeases, findOnHost, listSent } from '../store/deployments.ts';
import { parseError } from '../store/events.ts';
import type { Row } from '../store/schema.ts';

/** A host renews well within this time. */
export const LEASE_SECONDS = 60;
/**
 * Grace period after the lease of an offline host has expired, before its deployment counts as lost. Long enough for a
 * reboot.
 */
export const GRACE_SECONDS = 600;

/** Total silence after which a deployment counts as lost, ms. */
export const LOST_AFTER_MS = (LEASE_SECONDS + GRACE_SECONDS) * 1000;

export const leaseEnd = (now: Date): string => new Date(now.getTime() + LEASE_SECONDS * 1000).toISOString();

/** When the lease was last renewed, ms since the epoch. */
export const leaseBegin = (end: string | null): number => (end === null ? 0 : Date.parse(end) - LEASE_SECONDS * 1000);

/** The hub assumed this failure because the host was offline. A later report of the host overrides it. */
export const isLostAssumption = (deployment: Pick<Row<'deployment'>, 'status' | 'error'>): boolean =>
  deployment.status === 'failed' && parseError(deployment.error)?.code === 'ORK_HOST_LOST';

/** The host still works on these deployments. Returns those that it holds a lease for. */
export async function renewLeases(
  { db, clock }: Pick<CoreDeps, 'db' | 'clock'>,
  hostId: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  const held = (await listSent(db, hostId)).filter(({ id }) => ids.includes(id)).map(({ id }) => id);
  if (held.length > 0) await extendLeases(db, held, leaseEnd(clock.now()));
  return held;
}

/** Resumes a deployment that was assumed lost but still runs. Returns whether it was one. */
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
