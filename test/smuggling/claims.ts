/** The proxy's counts of its claims, read through its admin API. */
import { setTimeout as pause } from 'node:timers/promises';
import type { TableView } from '../../protocol/proxy-admin.ts';
import type { EdgeProcess } from '../harness/edge-process.ts';

export interface Claims {
  readonly served: number;
  readonly failed: number;
  /** The client disconnected, or its request broke off. */
  readonly abandoned: number;
  readonly inFlight: number;
}

/** Shares one call among all concurrent callers. */
export class ClaimCounter {
  readonly #edge: EdgeProcess;
  #running: Promise<Claims> | null = null;
  #next: Promise<Claims> | null = null;

  constructor(edge: EdgeProcess) {
    this.#edge = edge;
  }

  /** The counts at some time after this call. */
  now(): Promise<Claims> {
    if (this.#next !== null) return this.#next;
    const before = this.#running;
    this.#next = (async () => {
      await before;
      this.#running = this.#next;
      this.#next = null;
      return claimsOf(await this.#edge.table());
    })();
    return this.#next;
  }

  /** The counts once nothing is in flight, or after `patienceMs`. */
  async atRest(patienceMs: number): Promise<Claims> {
    for (const until = performance.now() + patienceMs; ; await pause(5)) {
      const claims = await this.now();
      if (claims.inFlight === 0 || performance.now() > until) return claims;
    }
  }
}

function claimsOf(table: TableView): Claims {
  const targets = table.upstreams.flatMap((upstream) => upstream.targets);
  const sum = (count: (target: (typeof targets)[number]) => number): number =>
    targets.reduce((total, target) => total + count(target), 0);
  return {
    served: sum((target) => target.requests.served),
    failed: sum((target) => target.requests.failed),
    abandoned: sum((target) => target.abandoned),
    inFlight: sum((target) => target.inFlight),
  };
}

export const minus = (after: Claims, before: Claims): Claims => ({
  served: after.served - before.served,
  failed: after.failed - before.failed,
  abandoned: after.abandoned - before.abandoned,
  inFlight: after.inFlight,
});
