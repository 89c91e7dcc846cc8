/** CPU time per request, in rounds over all cases and proxies, so that other work on the machine affects all alike. */
import { CASES } from './cases.ts';
import type { CaseName } from './cases.ts';
import type { Lab } from './lab.ts';
import { wordsOf } from './log.ts';
import type { Log } from './log.ts';
import type { RunningProxy } from './proxies/contract.ts';

/**
 * Load before the first round, which warms compilers, pools and caches. On a slow machine the compilers use part of the
 * core for the first fifteen seconds of load (docs/performance.md, "How it is measured").
 */
const WARM_UP_SECONDS = 8;

interface CpuPlan {
  readonly lab: Lab;
  readonly cases: readonly CaseName[];
  readonly rounds: number;
  readonly seconds: number;
  /** By name. */
  readonly proxies: ReadonlyMap<string, RunningProxy>;
}

/** Microseconds of CPU per request, one sample per round, by case and proxy. No samples: not supported, or failed. */
export class CpuSamples {
  readonly #samples = new Map<string, number[]>();
  readonly failures: string[] = [];
  readonly #failed = new Set<string>();

  add(name: CaseName, proxy: string, microseconds: number): void {
    const key = `${name} ${proxy}`;
    this.#samples.set(key, [...(this.#samples.get(key) ?? []), microseconds]);
  }

  /** If a round failed, the figure would mean nothing: drops its samples and leaves the pair out from now on. */
  fail(name: CaseName, proxy: string, error: unknown): void {
    this.#samples.delete(`${name} ${proxy}`);
    this.#failed.add(`${name} ${proxy}`);
    this.failures.push(`${proxy}, ${name}: ${wordsOf(error)}`);
  }

  hasFailed(name: CaseName, proxy: string): boolean {
    return this.#failed.has(`${name} ${proxy}`);
  }

  of(name: CaseName, proxy: string): readonly number[] {
    return this.#samples.get(`${name} ${proxy}`) ?? [];
  }
}

export async function measureCpu(plan: CpuPlan, samples: CpuSamples, log: Log): Promise<void> {
  for (let round = 0; round <= plan.rounds; round += 1) {
    for (const name of plan.cases) {
      const line: string[] = [];
      for (const [label, proxy] of inTurn([...plan.proxies], round)) {
        const served = !CASES[name].secure || proxy.ports.https !== null;
        if (!served || samples.hasFailed(name, label)) continue;
        try {
          const { microseconds, busy } = await sample(plan, name, proxy, round === 0 ? WARM_UP_SECONDS : plan.seconds);
          if (round > 0) samples.add(name, label, microseconds);
          line.push(`${label} ${microseconds.toFixed(1)} (${(busy * 100).toFixed(0)}%)`);
        } catch (error) {
          samples.fail(name, label, error);
          log(`FAILED ${samples.failures.at(-1)}`);
        }
      }
      log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${name.padEnd(9)} ${line.join('  ')}`);
    }
  }
}

/** Another one comes first each round: whoever runs after a heavy neighbour finds the caches as that left them. */
function inTurn<T>(items: readonly T[], round: number): T[] {
  return items.map((_, index) => items[(index + round) % items.length] as T);
}

async function sample(
  { lab }: CpuPlan,
  name: CaseName,
  proxy: RunningProxy,
  seconds: number,
): Promise<{ microseconds: number; busy: number }> {
  const began = { cpu: proxy.process.cpuNanoseconds(), at: performance.now() };
  const requests = await CASES[name].load(lab, proxy, seconds);
  const nanoseconds = proxy.process.cpuNanoseconds() - began.cpu;
  return { microseconds: nanoseconds / 1000 / requests, busy: nanoseconds / 1e6 / (performance.now() - began.at) };
}
