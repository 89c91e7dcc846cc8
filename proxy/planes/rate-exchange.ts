/**
 * Client rates over several planes. Each plane counts by itself, so that a client has its whole rate on one connection,
 * and later adds the counts of the others. A client that uses several at once pays for it a moment later.
 */
import type { Taken } from '../policy/client-rates.ts';
import type { Planes } from './planes.ts';

export class RateExchange {
  /** Counts that each plane has yet to receive. */
  readonly #unreported = new Map<Planes, Taken[]>();

  /** One round: each plane gets what the others reported in the round before, and reports its own. */
  async round(planes: readonly Planes[]): Promise<void> {
    const reported = new Map(planes.map((plane) => [plane, this.#unreported.get(plane) ?? []]));
    this.#unreported.clear();
    await Promise.all(
      planes.map(async (plane) => {
        const taken = await plane.exchangeRates(reported.get(plane) ?? []);
        for (const other of planes) if (other !== plane) this.#queue(other, taken);
      }),
    );
  }

  #queue(plane: Planes, taken: readonly Taken[]): void {
    if (taken.length > 0) this.#unreported.set(plane, [...(this.#unreported.get(plane) ?? []), ...taken]);
  }
}
