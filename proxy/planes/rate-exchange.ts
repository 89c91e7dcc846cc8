/**
 * The rates of clients over several planes: each counts by itself, so that a client gets its whole rate on one connection, and
 * is told what the others have counted. What is asked of several at the same moment is paid for a moment later.
 */
import type { Taken } from '../policy/client-rates.ts';
import type { Planes } from './planes.ts';

export class RateExchange {
  /** What each plane has yet to hear. */
  readonly #untold = new Map<Planes, Taken[]>();

  /** One round: each hears what the others had told in the round before, and tells. */
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
