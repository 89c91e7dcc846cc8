/**
 * How busy each process of the bench is, and how long it waited for a processor. A process short of CPU time measures
 * itself, and one that waits measures the machine: neither says anything about the proxy.
 */
import { readFileSync } from 'node:fs';
import { cpuNanoseconds } from '../../../installer/stack/process-cost.ts';

interface Used {
  readonly ran: number;
  readonly waited: number;
}

export class CpuShares {
  readonly #pids: readonly (readonly [name: string, pid: number])[];
  #before: readonly Used[];
  #at = performance.now();

  constructor(pids: readonly (readonly [name: string, pid: number])[]) {
    this.#pids = pids;
    this.#before = this.#now();
  }

  /** @returns text: how much of one core each has used since the last call, and how long it waited, as a share */
  lap(): string {
    const [now, at] = [this.#now(), performance.now()];
    const percent = (nanoseconds: number): string => `${(nanoseconds / 1e4 / (at - this.#at)).toFixed(0)}%`;
    const words = this.#pids.map(([name], index) => {
      const [before, after] = [this.#before[index] as Used, now[index] as Used];
      return `${name} ${percent(after.ran - before.ran)} (waited ${percent(after.waited - before.waited)})`;
    });
    this.#before = now;
    this.#at = at;
    return `${words.join(', ')} of a core`;
  }

  #now(): Used[] {
    return this.#pids.map(([, pid]) => ({ ran: cpuNanoseconds(pid), waited: waitedNanoseconds(pid) }));
  }
}

/** Time that the main thread was runnable but not running, ns: the second figure of Linux's sched-stats.rst. */
function waitedNanoseconds(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]);
}
