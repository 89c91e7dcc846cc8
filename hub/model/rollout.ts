/** How an upgrade over hosts stands: the rollout of one version. What is next in it is decided in upgrades/advance.ts. */
import type { HostUpgradeState } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';

/** running → done, by way of paused as often as need be; cancelled: those under way still end. */
export const UPGRADE_STATES = ['running', 'paused', 'done', 'cancelled'] as const;
export type UpgradeState = (typeof UPGRADE_STATES)[number];

/** What the host tells, and before and beside it: waiting for its turn, ordered and no word yet, skipped by a person. */
export const HOST_STATES = [
  'waiting',
  'ordered',
  'fetching',
  'trial',
  'switching',
  'healthy',
  'reverted',
  'failed',
  'skipped',
] as const satisfies readonly (HostUpgradeState | 'waiting' | 'ordered' | 'skipped')[];
export type HostState = (typeof HOST_STATES)[number];

export interface HostRollout {
  readonly hostId: string;
  readonly state: HostState;
  readonly error: ErrorReport | null;
  /** When its turn came, or its order went out, ms since the epoch; null: not yet. */
  readonly turnAt: number | null;
}

export interface Rollout {
  readonly version: string;
  readonly atOnce: number;
  readonly state: UpgradeState;
  /** In the order in which they are upgraded. */
  readonly hosts: readonly HostRollout[];
}

export const isUnderWay = (state: HostState): boolean =>
  state === 'ordered' || state === 'fetching' || state === 'trial' || state === 'switching';
export const hasFailed = (state: HostState): boolean => state === 'failed' || state === 'reverted';
