/**
 * Computes the next state of an upgrade's rollout: a pure function of the stored state and the connected hosts.
 * Upgrades some hosts at a time, in order; the next one starts only when an earlier one is healthy. The first failure
 * pauses the rollout.
 */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { hasFailed, type HostRollout, isUnderWay, type Rollout } from '../model/rollout.ts';

/** A connected host. */
export interface SeenHost {
  readonly agentVersion: string;
  /** When it connected, ms since the epoch. */
  readonly since: number;
}

/** How long a host may be offline when its turn comes. Long enough for a reboot. */
export const AWAY_MS = 10 * 60_000;
/** Limit from the order to its end: a download over a slow line, the trial, a minute of observation. */
export const UPGRADE_MS = 20 * 60_000;
/** An agent reverts by itself within a minute. One that has stayed longer is final, even if its report was lost. */
export const STAYED_MS = 75_000;

/** The rollout's new state. Hosts that became `ordered` in it must be sent their order. */
export function advance(rollout: Rollout, seen: ReadonlyMap<string, SeenHost>, now: number): Rollout {
  const judged = rollout.hosts.map((host) => judge(rollout, host, seen.get(host.hostId), now));
  const state = rollout.state === 'running' && judged.some((host) => hasFailed(host.state)) ? 'paused' : rollout.state;
  const next = giveTurns({ ...rollout, state, hosts: judged }, seen, now);
  const isOver = next.hosts.every((host) => host.state === 'healthy' || host.state === 'skipped');
  return isOver && next.state !== 'cancelled' ? { ...next, state: 'done' } : next;
}

/** Detects the end of an upgrade that was never reported. */
function judge({ version }: Rollout, host: HostRollout, seen: SeenHost | undefined, now: number): HostRollout {
  if (!isUnderWay(host.state)) return host;
  if (seen?.agentVersion === version && now - seen.since >= STAYED_MS) return { ...host, state: 'healthy' };
  if (now - (host.turnAt ?? now) < UPGRADE_MS) return host;
  return failed(
    host,
    'ORK_UPGRADE_TIMEOUT',
    `The host did not finish its upgrade to ${version} within ${minutes(UPGRADE_MS)}; its last known state: ${host.state}.`,
  );
}

function giveTurns(rollout: Rollout, seen: ReadonlyMap<string, SeenHost>, now: number): Rollout {
  let { state } = rollout;
  let active = rollout.hosts.filter((host) => isUnderWay(host.state)).length;
  const hosts = rollout.hosts.map((host) => {
    if (state !== 'running' || host.state !== 'waiting' || active >= rollout.atOnce) return host;
    const begun = begin(rollout, { ...host, turnAt: host.turnAt ?? now }, seen.get(host.hostId), now);
    if (hasFailed(begun.state)) state = 'paused';
    // An offline host also occupies its turn: no later host overtakes it.
    else if (begun.state !== 'healthy') active += 1;
    return begun;
  });
  return { ...rollout, state, hosts };
}

function begin({ version }: Rollout, host: HostRollout, seen: SeenHost | undefined, now: number): HostRollout {
  if (seen === undefined) {
    if (now - (host.turnAt ?? now) < AWAY_MS) return host;
    return failed(host, 'ORK_HOST_OFFLINE', `The host was not connected for ${minutes(AWAY_MS)} when its turn came.`);
  }
  if (seen.agentVersion === version) return { ...host, state: 'healthy' };
  return { ...host, state: 'ordered', turnAt: now };
}

function failed(
  host: HostRollout,
  code: 'ORK_UPGRADE_TIMEOUT' | 'ORK_HOST_OFFLINE' | 'ORK_UPGRADE_UNSUPPORTED',
  message: string,
): HostRollout {
  return { ...host, state: 'failed', error: toErrorReport(new OrkestrError(code, message)) };
}

const minutes = (ms: number): string => `${ms / 60_000} minutes`;
