/** How long a host may hold a job without a word. */
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
