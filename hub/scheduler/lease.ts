/** How long a host may hold a job without a word. */
import type { Row } from '../store/schema.ts';

/** A host renews well within this. */
export const LEASE_SECONDS = 60;
/** How long after its lease ran out an absent host's deployment is given up. A reboot must fit in. */
export const GRACE_SECONDS = 600;

export const leaseEnd = (now: Date): string => new Date(now.getTime() + LEASE_SECONDS * 1000).toISOString();

/** Failed because its host was away, not because anyone said so: the truth, when it comes, wins. */
export const isLostAssumption = (deployment: Pick<Row<'deployment'>, 'status' | 'error'>): boolean =>
  deployment.status === 'failed' && (deployment.error?.includes('"ORK_HOST_LOST"') ?? false);
