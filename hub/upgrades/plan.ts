/**
 * What is next in an upgrade over hosts: a pure decision over what the store holds and which hosts are seen. Some at a
 * time, in their order, the next only when one before it is healthy; the first that is not pauses the whole.
 */
import type { HostUpgradeState } from '../../protocol/agent-link.ts';
import { type ErrorReport, OrkestrError, toErrorReport } from '../../protocol/errors.ts';

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

export interface HostPlan {
  readonly hostId: string;
  readonly state: HostState;
  readonly error: ErrorReport | null;
  /** When its turn came, or its order went out, ms since the epoch; null: not yet. */
  readonly turnAt: number | null;
}

export interface UpgradePlan {
  readonly version: string;
  readonly atOnce: number;
  readonly state: UpgradeState;
  /** In the order in which they are upgraded. */
  readonly hosts: readonly HostPlan[];
}

/** A connected host. */
export interface SeenHost {
  readonly agentVersion: string;
  /** When it connected, ms since the epoch. */
  readonly since: number;
}

/** How long a host whose turn it is may be away. A reboot must fit in. */
export const AWAY_MS = 10 * 60_000;
/** From the order to its end: a download over a slow line, the trial, a minute of watching. */
export const UPGRADE_MS = 20 * 60_000;
/** An agent goes back by itself within a minute; one that stayed longer is there to stay, whatever was not heard of it. */
export const STAYED_MS = 75_000;

export const isUnderWay = (state: HostState): boolean =>
  state === 'ordered' || state === 'fetching' || state === 'trial' || state === 'switching';
export const hasFailed = (state: HostState): boolean => state === 'failed' || state === 'reverted';

/** The plan as it is to be now. Hosts that are `ordered` in it and were not before get their order. */
export function decide(plan: UpgradePlan, seen: ReadonlyMap<string, SeenHost>, now: number): UpgradePlan {
  const judged = plan.hosts.map((host) => judge(plan, host, seen.get(host.hostId), now));
  const state = plan.state === 'running' && judged.some((host) => hasFailed(host.state)) ? 'paused' : plan.state;
  const next = giveTurns({ ...plan, state, hosts: judged }, seen, now);
  const isOver = next.hosts.every((host) => host.state === 'healthy' || host.state === 'skipped');
  return isOver && next.state !== 'cancelled' ? { ...next, state: 'done' } : next;
}

/** One that is under way may have ended without a word. */
function judge({ version }: UpgradePlan, host: HostPlan, seen: SeenHost | undefined, now: number): HostPlan {
  if (!isUnderWay(host.state)) return host;
  if (seen?.agentVersion === version && now - seen.since >= STAYED_MS) return { ...host, state: 'healthy' };
  if (now - (host.turnAt ?? now) < UPGRADE_MS) return host;
  return failed(
    host,
    'ORK_UPGRADE_TIMEOUT',
    `The host did not finish its upgrade to ${version} within ${minutes(UPGRADE_MS)}; its last known state: ${host.state}.`,
  );
}

function giveTurns(plan: UpgradePlan, seen: ReadonlyMap<string, SeenHost>, now: number): UpgradePlan {
  let { state } = plan;
  let active = plan.hosts.filter((host) => isUnderWay(host.state)).length;
  const hosts = plan.hosts.map((host) => {
    if (state !== 'running' || host.state !== 'waiting' || active >= plan.atOnce) return host;
    const begun = begin(plan, { ...host, turnAt: host.turnAt ?? now }, seen.get(host.hostId), now);
    if (hasFailed(begun.state)) state = 'paused';
    // One that is away has its turn, too: nobody overtakes it.
    else if (begun.state !== 'healthy') active += 1;
    return begun;
  });
  return { ...plan, state, hosts };
}

function begin({ version }: UpgradePlan, host: HostPlan, seen: SeenHost | undefined, now: number): HostPlan {
  if (seen === undefined) {
    if (now - (host.turnAt ?? now) < AWAY_MS) return host;
    return failed(host, 'ORK_HOST_OFFLINE', `The host was not connected for ${minutes(AWAY_MS)} when its turn came.`);
  }
  if (seen.agentVersion === version) return { ...host, state: 'healthy' };
  return { ...host, state: 'ordered', turnAt: now };
}

function failed(
  host: HostPlan,
  code: 'ORK_UPGRADE_TIMEOUT' | 'ORK_HOST_OFFLINE' | 'ORK_UPGRADE_UNSUPPORTED',
  message: string,
): HostPlan {
  return { ...host, state: 'failed', error: toErrorReport(new OrkestrError(code, message)) };
}

const minutes = (ms: number): string => `${ms / 60_000} minutes`;
