/**
 * Client rates over several planes. Each plane counts by itself, so that a client has its whole rate on one connection,
 * and later adds the counts of the others. A client that uses several at once pays for it a moment later.
 */
import type { Taken } from '../policy/client-rates.ts';
import type { Planes } from './planes.ts';

export class RateExchange {
  /** Counts that each plane has yet to receive. */
  readonly #untold = new Map<Planes, Taken[]>();

  /** One round: each plane gets what the others reported in the round before, and reports its own. */
  async round(planes: readonly Planes[]): Promise<void> {
    const heard = new Map(planes.map((plane) => [plane, this.#untold.get(plane) ?? []]));
    this.#untold.clear();
    await Promise.all(
      planes.map(async (plane) => {
        const taken = await plane.exchangeRates(heard.get(plane) ?? []);
        for (const other of planes) if (other !== plane) this.#tell(other, taken);
      }),
    );
  }

  #tell(plane: Planes, taken: readonly Taken[]): void {
    if (taken.length > 0) this.#untold.set(plane, [...(this.#untold.get(plane) ?? []), ...taken]);
  }
}
