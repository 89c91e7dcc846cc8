/** `npm run bench:proxy`: our proxy beside nginx, haproxy and Caddy. */
import { exitCodeOf } from '../../harness/script.ts';
import { CpuSamples, measureCpu } from './cpu.ts';
import { Lab } from './lab.ts';
import { measureLatency } from './latency.ts';
import type { Latency } from './latency.ts';
import { toStderr, wordsOf } from './log.ts';
import { measureMemory } from './memory.ts';
import type { Memory } from './memory.ts';
import { HELP, readOptions } from './options.ts';
import type { Options } from './options.ts';
import { probe } from './probe.ts';
import type { RunningProxy, StartProxy } from './proxies/contract.ts';
import { starters, untunedNginx } from './proxies/proxies.ts';
import type { ProxyName } from './proxies/proxies.ts';
import { figure, tables } from './report.ts';
import type { Figures, MemoryTable } from './report.ts';

/** Its label in the samples; its figures are merged into nginx's. */
const UNTUNED = 'nginx untuned';
const MEGABYTE = 1e6;
/** Memory varies little between starts. */
const MEMORY_ROUNDS = 3;

/**
 * Proxies take turns within a group. Our other engine runs alone, after all others: a second process of our program
 * slows the first one down by a fifth. No host has two, and we cannot explain it (docs/performance.md).
 */
const groupsOf = (proxies: readonly ProxyName[]): readonly (readonly ProxyName[])[] =>
  [proxies.filter((name) => name !== 'general'), proxies.filter((name) => name === 'general')].filter(
    (group) => group.length > 0,
  );

class Bench {
  readonly #options: Options;
  readonly #lab: Lab;
  readonly #failures: string[] = [];

  constructor(options: Options, lab: Lab) {
    this.#options = options;
    this.#lab = lab;
  }

  /** @returns whether everything succeeded */
  async run(): Promise<boolean> {
    const { proxies, extras } = this.#options;
    const memory = extras.includes('memory') ? await this.#memory() : {};
    const cpu = new CpuSamples();
    const latency2000rps: Figures['latency2000rps'] = {};
    for (const group of groupsOf(proxies)) {
      const running = await this.#start(group);
      await this.#cpu(running, cpu);
      if (extras.includes('latency2000rps')) Object.assign(latency2000rps, await this.#latency(group, running));
    }
    this.#failures.push(...cpu.failures);
    const { rssMB = null, idleBytesPerConnection = null } = memory.ours ?? {};
    const figures = { cases: this.#cases(cpu), latency2000rps, rssMB, idleBytesPerConnection };
    toStderr(`\n${tables(figures, memory, proxies)}\n`);
    for (const failure of this.#failures) toStderr(`FAILED ${failure}`);
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    return this.#failures.length === 0;
  }

  /** All proxies of a group run at the same time: an idle one takes no CPU time. */
  async #start(group: readonly ProxyName[]): Promise<Map<string, RunningProxy>> {
    const known = starters(this.#options.build);
    const chosen: [string, StartProxy][] = group.map((name) => [name, known[name]]);
    if (this.#options.untuned && group.includes('nginx')) chosen.push([UNTUNED, untunedNginx]);
    const running = new Map<string, RunningProxy>();
    for (const [name, start] of chosen) {
      const proxy = await start(this.#lab);
      await probe(this.#lab, proxy);
      running.set(name, proxy);
    }
    return running;
  }

  async #cpu(running: ReadonlyMap<string, RunningProxy>, into: CpuSamples): Promise<void> {
    const { cases, rounds, seconds } = this.#options;
    await measureCpu({ lab: this.#lab, cases, rounds, seconds, proxies: running }, into, toStderr);
  }

  #cases(cpu: CpuSamples): Figures['cases'] {
    const { cases, proxies } = this.#options;
    const figureOf = (name: (typeof cases)[number], proxy: ProxyName): number | null => {
      const found = [proxy, ...(proxy === 'nginx' ? [UNTUNED] : [])].map((label) => figure(cpu.of(name, label)));
      const figures = found.filter((value) => value !== null);
      return figures.length > 0 ? Math.min(...figures) : null;
    };
    return Object.fromEntries(
      cases.map((name) => [name, Object.fromEntries(proxies.map((proxy) => [proxy, figureOf(name, proxy)]))]),
    );
  }

  async #latency(
    group: readonly ProxyName[],
    running: ReadonlyMap<string, RunningProxy>,
  ): Promise<Figures['latency2000rps']> {
    const { rounds, seconds } = this.#options;
    const found = await this.#each(group, 'latency2000rps', rounds, async (name): Promise<Latency> => {
      const latency = await measureLatency(this.#lab, running.get(name) as RunningProxy, seconds);
      toStderr(`latency  ${name.padEnd(8)} p50 ${latency.p50.toFixed(2)} ms  p99 ${latency.p99.toFixed(2)} ms`);
      return latency;
    });
    return Object.fromEntries(
      group.map((name) => {
        const samples = found.get(name) ?? [];
        const [p50, p99] = [
          figure(
            samples.map((one) => one.p50),
            3,
          ),
          figure(
            samples.map((one) => one.p99),
            3,
          ),
        ];
        return [name, p50 === null || p99 === null ? null : { p50, p99 }];
      }),
    );
  }

  async #memory(): Promise<MemoryTable> {
    const { rounds, proxies, build } = this.#options;
    const known = starters(build);
    const found = await this.#each(
      proxies,
      'memory',
      Math.min(rounds, MEMORY_ROUNDS),
      async (name): Promise<Memory> => {
        const memory = await measureMemory(this.#lab, known[name]);
        const rest = (memory.restBytes / MEGABYTE).toFixed(1);
        toStderr(
          `memory   ${name.padEnd(8)} ${rest} MB  ${memory.idleBytesPerConnection.toFixed(0)} bytes per idle connection`,
        );
        return memory;
      },
    );
    return Object.fromEntries(
      proxies.map((name) => {
        const samples = found.get(name) ?? [];
        const rssMB = figure(samples.map(({ restBytes }) => restBytes / MEGABYTE));
        const idle = figure(
          samples.map(({ idleBytesPerConnection }) => idleBytesPerConnection),
          0,
        );
        return [name, rssMB === null || idle === null ? null : { rssMB, idleBytesPerConnection: idle }];
      }),
    );
  }

  /** Rounds over the proxies. A proxy that fails once has no samples and is left out from then on. */
  async #each<T>(
    group: readonly ProxyName[],
    what: string,
    rounds: number,
    measure: (name: ProxyName) => Promise<T>,
  ): Promise<Map<ProxyName, T[]>> {
    const samples = new Map<ProxyName, T[]>(group.map((name) => [name, []]));
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, values] of samples) {
        try {
          values.push(await measure(name));
        } catch (error) {
          samples.delete(name);
          this.#failures.push(`${name}, ${what}: ${wordsOf(error)}`);
          toStderr(`FAILED ${this.#failures.at(-1)}`);
        }
      }
    }
    return samples;
  }
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const lab = new Lab();
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    process.once(signal, () => void lab.close().finally(() => process.exit(code)));
  }
  try {
    return (await new Bench(options, await lab.open()).run()) ? 0 : 1;
  } finally {
    await lab.close();
  }
}

process.exitCode = await exitCodeOf(main);
