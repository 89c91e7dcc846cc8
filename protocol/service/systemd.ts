/** Notifications of a Type=notify unit to systemd (sd_notify(3)). Outside systemd each call does nothing. */
import { spawn } from 'node:child_process';
import notify from 'systemd-notify';
import type { Logger } from './logger.ts';

interface Supervisor {
  ready(status: string): void;
  status(text: string): void;
  stopping(): void;
  /**
   * Makes another process the unit's main one. Also pings the watchdog, which is the unit's: the new process then has
   * the full time until its first ping, even if our last one is nearly too old.
   * @returns settles when systemd has processed it or never will; exiting earlier would end the unit
   */
  mainPid(pid: number): Promise<void>;
  /** Call when work is provably alive; systemd restarts a unit whose pings stop (WatchdogSec). */
  watchdog(): void;
  /** How often `watchdog` is due, ms: half of what systemd allows. Null without a watchdog. */
  readonly watchdogMs: number | null;
}

/** The part of the environment that systemd sets for a notify unit. */
export interface SupervisorEnv {
  readonly NOTIFY_SOCKET?: string | undefined;
  readonly WATCHDOG_USEC?: string | undefined;
}

export function makeSupervisor(env: SupervisorEnv, log: Logger): Supervisor {
  if (!env.NOTIFY_SOCKET) {
    return { ready() {}, status() {}, stopping() {}, mainPid: async () => {}, watchdog() {}, watchdogMs: null };
  }
  const failed = (error: unknown): void => log.warn({ err: error }, 'systemd was not notified');
  // The package knows only READY and STATUS, so the rest goes to the same program by argv.
  // It exits once systemd has processed the message (sd_notify_barrier(3)).
  const send = (...assignments: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const program = spawn('systemd-notify', assignments, { stdio: 'ignore' });
      program.on('error', failed).on('error', () => resolve());
      program.on('exit', (code, signal) => {
        if (code !== 0) failed(new Error(`systemd-notify ended with ${signal ?? `code ${code}`}`));
        resolve();
      });
    });
  const usec = Number(env.WATCHDOG_USEC ?? 0);
  return {
    ready: (status) => void notify({ ready: true, status }).catch(failed),
    status: (status) => void notify({ status }).catch(failed),
    stopping: () => void send('STOPPING=1'),
    mainPid: (pid) => send(`MAINPID=${pid}`, 'WATCHDOG=1'),
    watchdog: () => void send('WATCHDOG=1'),
    watchdogMs: usec > 0 ? usec / 2000 : null,
  };
}
