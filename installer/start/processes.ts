/** Supervises hub, proxy and agent: reports and restarts a process that ends by itself, after ever longer pauses. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROXY_PROGRAM } from '../stack/proxy-program.ts';
import { endProcess, identify } from '../stack/process-identity.ts';
import { Service } from '../stack/service.ts';
import type { ServiceCommand } from '../stack/service.ts';
import { agentState, hubState } from '../stack/stack.ts';
import type { StackPlan } from '../stack/stack.ts';

/** Pause before the nth restart, ms; the last one applies to all later restarts. */
const RESTART_PAUSES = [250, 500, 1000, 2000, 5000, 10_000, 30_000];
/** After a process has run this long, pauses start again with the shortest, ms. */
const STEADY_MS = 60_000;

export class Watched {
  readonly name: string;
  readonly #command: ServiceCommand;
  readonly #tell: (line: string) => void;
  readonly #stopping = new AbortController();
  #service: Service;
  #watch: Promise<void>;

  private constructor(command: ServiceCommand, service: Service, tell: (line: string) => void) {
    this.name = command.name;
    this.#command = command;
    this.#service = service;
    this.#tell = tell;
    this.#watch = this.#watchOver();
  }

  static async start(command: ServiceCommand, tell: (line: string) => void): Promise<Watched> {
    return new Watched(command, await Service.start(command), tell);
  }

  get running(): boolean {
    return this.#service.running;
  }

  /** @throws OrkestrError ORK_PREPARE_FAILED if it does not start listening */
  url(): Promise<string> {
    return this.#service.url();
  }

  lastLines(): string[] {
    return this.#service.lastLines();
  }

  /** Stops the process and does not restart it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#service.stop();
    await this.#watch;
  }

  async #watchOver(): Promise<void> {
    for (let deaths = 0; ; deaths += 1) {
      const began = performance.now();
      const { code, signal } = await this.#service.exited;
      if (this.#stopping.signal.aborted) return;
      if (performance.now() - began > STEADY_MS) deaths = 0;
      const pause = RESTART_PAUSES[Math.min(deaths, RESTART_PAUSES.length - 1)] ?? 0;
      this.#tell(
        `${this.name} ended (${signal ?? `exit code ${code}`}) and is being restarted. Its log: ${this.#service.logFile}`,
      );
      // Aborted by stop(): there is nothing to start.
      await sleep(pause, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      await this.#startAgain();
    }
  }

  async #startAgain(): Promise<void> {
    try {
      this.#service = await Service.start(this.#command);
    } catch (error) {
      // #service is still the previous process: its end leads to the next attempt.
      this.#tell(`${this.name} could not be started: ${(error as Error).message}`);
    }
    // A stop() meanwhile has stopped only the previous process.
    if (this.#stopping.signal.aborted) await this.#service.stop();
  }
}

/**
 * Ends processes of this installation that a killed launcher left running. Finds them by the state folder in their
 * environment (/proc/PID/environ), so that neither a lost record nor a reused pid can hit an unrelated process.
 */
export async function endLeftovers(plan: StackPlan): Promise<number> {
  const marks = [
    `ORKESTR_HUB_STATE=${hubState(plan)}`,
    `ORKESTR_AGENT_STATE=${agentState(plan)}`,
    `ORKESTR_PROXY_STATE=${plan.folder}/proxy`,
  ];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const left = pids.filter((pid) => {
    const argv = readList(pid, 'cmdline');
    return (
      argv.includes('serve') &&
      argv.some((part) => part.endsWith('/main.ts') || part.endsWith(`/${PROXY_PROGRAM}`)) &&
      readList(pid, 'environ').some((entry) => marks.includes(entry))
    );
  });
  await Promise.all(
    left.map(async (pid) => {
      const identity = identify(Number(pid));
      if (identity) await endProcess(identity, 15_000);
    }),
  );
  return left.length;
}

function readList(pid: string, file: 'cmdline' | 'environ'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    // It ended between listing and reading, so it is no leftover.
    return [];
  }
}
