/**
 * The units of orkestr as an upgrade needs them, by systemctl(1). Tests implement this port with their own processes.
 */
import { readlinkSync } from 'node:fs';
import { run } from '../lib/exec.ts';

export const AGENT_UNIT = 'orkestr-agent.service';
export const HUB_UNIT = 'orkestr-hub.service';
export const PROXY_UNIT = 'orkestr-proxy.service';
export const UPGRADE_UNIT = 'orkestr-upgrade.service';
/** Units that exist only on the hub's host. */
export const HUB_UNITS: readonly string[] = [HUB_UNIT, 'orkestr-hub-backup.service', 'orkestr-hub-backup.timer'];

export interface UnitState {
  /** systemd gave up on the unit (those of older releases limit restarts) and does not start it by itself. */
  readonly failed: boolean;
  /** Number of automatic restarts by systemd. */
  readonly restarts: number;
  readonly active: boolean;
  /** Null if no process runs. */
  readonly mainPid: number | null;
}

export interface Services {
  /** Reloads all unit files. */
  reload(): Promise<void>;
  /** Returns when the unit has stopped. */
  stop(unit: string): Promise<void>;
  /** Returns at once; `state` shows the result. Clears earlier failures. */
  start(unit: string): Promise<void>;
  state(unit: string): Promise<UnitState>;
  /** The last lines of the unit's log. */
  lines(unit: string, count: number): Promise<readonly string[]>;
}

/** systemd stops a unit within its TimeoutStopSec, for ours at most 30 s. */
const TIMEOUT_MS = 60_000;
const LOOK_MS = 10_000;

export const systemServices: Services = {
  reload: () => systemctl('daemon-reload'),
  stop: (unit) => systemctl('stop', unit),
  async start(unit) {
    await systemctl('reset-failed', unit).catch(() => undefined); // not loaded yet, so it has not failed
    await systemctl('start', '--no-block', unit);
  },
  async state(unit) {
    const properties = '--property=ActiveState,MainPID,NRestarts';
    const { stdout } = await run('systemctl', ['show', properties, '--', unit], { timeoutMs: LOOK_MS });
    const pid = Number(/^MainPID=(\d+)$/m.exec(stdout)?.[1] ?? 0);
    const restarts = Number(/^NRestarts=(\d+)$/m.exec(stdout)?.[1] ?? 0);
    const state = /^ActiveState=(\S+)$/m.exec(stdout)?.[1];
    return { failed: state === 'failed', restarts, active: state === 'active', mainPid: pid > 0 ? pid : null };
  },
  async lines(unit, count) {
    const args = ['--unit', unit, '--lines', String(count), '--output', 'cat', '--no-pager', '--quiet'];
    const { stdout } = await run('journalctl', args, { timeoutMs: LOOK_MS });
    return stdout.trim().split('\n').filter(Boolean);
  },
};

const systemctl = async (...args: readonly string[]): Promise<void> => {
  await run('systemctl', args, { timeoutMs: TIMEOUT_MS });
};

/** Real path of the binary that a process runs (proc_pid_exe(5)); null: it has ended, or we may not look at it. */
export function executableOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return null;
  }
}
