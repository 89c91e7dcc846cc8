/** How busy each process of the bench is: one that is short of time measures itself. */
import { cpuNanoseconds } from '../proxy/server-process.ts';

export class CpuShares {
  readonly #pids: readonly (readonly [name: string, pid: number])[];
  #before: readonly number[];
  #at = performance.now();

  constructor(pids: readonly (readonly [name: string, pid: number])[]) {
    this.#pids = pids;
    this.#before = this.#now();
  }

  /** @returns what each used of one core since the last call, in words */
  lap(): string {
    const [now, at] = [this.#now(), performance.now()];
    const share = (index: number): number => ((now[index] ?? 0) - (this.#before[index] ?? 0)) / 1e4 / (at - this.#at);
    const words = this.#pids.map(([name], index) => `${name} ${share(index).toFixed(0)}%`);
    this.#before = now;
    this.#at = at;
    return `${words.join(', ')} of a core`;
  }

  #now(): number[] {
    return this.#pids.map(([, pid]) => cpuNanoseconds(pid));
  }
}
