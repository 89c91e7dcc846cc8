/** State of an upgrade across hosts: the rollout of one version. upgrades/advance.ts decides on its next steps. */
import type { HostUpgradeState } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';

/** running → done, possibly with pauses in between; cancelled: hosts under way still finish. */
export const UPGRADE_STATES = ['running', 'paused', 'done', 'cancelled'] as const;
export type UpgradeState = (typeof UPGRADE_STATES)[number];

/** States that the host reports, plus: waiting for its turn, ordered without a report yet, skipped by a user. */
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
  /** When its turn came, or its order was sent, ms since the epoch; null: not yet. */
  readonly turnAt: number | null;
}

export interface Rollout {
  readonly version: string;
  readonly atOnce: number;
  readonly state: UpgradeState;
  /** In the order of their upgrades. */
  readonly hosts: readonly HostRollout[];
}

export const isUnderWay = (state: HostState): boolean =>
  state === 'ordered' || state === 'fetching' || state === 'trial' || state === 'switching';
export const hasFailed = (state: HostState): boolean => state === 'failed' || state === 'reverted';
