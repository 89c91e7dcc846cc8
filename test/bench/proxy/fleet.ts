/** The proxies of a run, all up at the same time: who has nothing to do takes no time. */
import type { Lab } from './lab.ts';
import type { RunningProxy, StartProxy } from './proxies/contract.ts';
import { probe } from './probe.ts';

export class Fleet {
  readonly #running = new Map<string, RunningProxy>();

  /** @throws Error when one does not start, or does not do what is measured */
  async start(lab: Lab, starters: ReadonlyMap<string, StartProxy>): Promise<ReadonlyMap<string, RunningProxy>> {
    for (const [name, start] of starters) {
      const proxy = await start(lab);
      this.#running.set(name, proxy);
      await probe(lab, proxy);
    }
    return this.#running;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((proxy) => proxy.process.stop()));
  }
}
