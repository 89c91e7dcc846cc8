/**
 * How many requests of an environment may be in flight at once (`maxConcurrent`), over several planes. A claim cannot
 * wait for other processes, so each plane has a share of the limit, and the shares never add up to more than it. Shares
 * follow the requests: a plane with little left gets what others do not use, before or soon after it has to refuse.
 */
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { ConcurrencyShare, ConcurrencyUse } from '../upstream/concurrency.ts';
import type { Planes } from './planes.ts';

/** A plane with less than this part of its share free gets more, if there is more. */
const SPARE = 1 / 4;

interface Limit {
  readonly max: number;
  readonly shares: Map<Planes, Share>;
}

/** One plane's share. */
interface Share {
  /** The share that the plane was given, requests. */
  readonly assigned: number;
  /** At least `assigned`: requests that were in flight when the share shrank keep their slots from the others for now. */
  readonly held: number;
}

interface Side {
  readonly plane: Planes;
  readonly share: number;
  readonly use: ConcurrencyUse;
}

export class ConcurrencyShares {
  readonly #planes: number;
  /** By upstream. */
  readonly #limits = new Map<string, Limit>();

  /** @param planes how many planes there will be, so that the first ones leave the others something */
  constructor(planes: number) {
    this.#planes = planes;
  }

  /** The plane's shares of the entries that have a limit. A new limit is split evenly. */
  sharesOf(plane: Planes, entries: Iterable<UpstreamEntry>): ConcurrencyShare[] {
    const shares: ConcurrencyShare[] = [];
    for (const { id, edge } of entries) {
      const max = edge.maxConcurrent;
      if (max === 0) this.#limits.delete(id);
      else shares.push({ id, part: this.#shareOf(plane, this.#limitOf(id, max)) });
    }
    return shares;
  }

  /** Releases the shares of a plane that has gone. */
  leave(plane: Planes): void {
    for (const { shares } of this.#limits.values()) shares.delete(plane);
  }

  remove(id: string): void {
    this.#limits.delete(id);
  }

  /** One round: planes with more than they need give to those with too little. */
  async round(planes: readonly Planes[]): Promise<void> {
    if (this.#limits.size === 0) return;
    const answers = await Promise.all(planes.map(async (plane) => ({ plane, uses: await plane.shareConcurrency([]) })));
    for (const [id, limit] of this.#limits) {
      const sides = answers.flatMap(({ plane, uses }): Side[] => {
        const use = uses.find((one) => one.id === id);
        const share = limit.shares.get(plane)?.assigned;
        return use === undefined || share === undefined ? [] : [{ plane, share, use }];
      });
      if (sides.some(isShort)) await this.#move(id, limit, sides);
    }
  }

  #limitOf(id: string, max: number): Limit {
    const known = this.#limits.get(id);
    if (known?.max === max) return known;
    const limit: Limit = { max, shares: new Map() };
    this.#limits.set(id, limit);
    return limit;
  }

  #shareOf(plane: Planes, { max, shares }: Limit): number {
    const known = shares.get(plane);
    if (known !== undefined) return known.assigned;
    const assigned = Math.max(0, Math.min(max - heldBy(shares), Math.ceil(max / this.#planes)));
    shares.set(plane, { assigned, held: assigned });
    return assigned;
  }

  /** Shrinks shares first, then grows others: slots still in flight beyond a smaller share are not free yet. */
  async #move(id: string, limit: Limit, sides: readonly Side[]): Promise<void> {
    const fair = fairShares(
      limit.max,
      sides.map(({ use }) => use.inFlight + use.refused),
    );
    await Promise.all(
      sides.map(async ({ plane, share, use }, index) => {
        const less = Math.min(share, fair[index] ?? share);
        const uses = less < share ? await plane.shareConcurrency([{ id, part: less }]) : [use];
        const inFlight = uses.find((one) => one.id === id)?.inFlight ?? 0;
        if (limit.shares.has(plane)) limit.shares.set(plane, { assigned: less, held: Math.max(less, inFlight) });
      }),
    );
    const growing: Promise<unknown>[] = [];
    for (const [index, { plane, share }] of sides.entries()) {
      const more = Math.min((fair[index] ?? share) - share, limit.max - heldBy(limit.shares));
      // The limit may have changed or gone meanwhile.
      const before = limit.shares.get(plane);
      if (more <= 0 || before === undefined || this.#limits.get(id) !== limit) continue;
      limit.shares.set(plane, { assigned: share + more, held: Math.max(before.held, share + more) });
      growing.push(plane.shareConcurrency([{ id, part: share + more }]));
    }
    await Promise.all(growing);
  }
}

function heldBy(shares: Limit['shares']): number {
  return [...shares.values()].reduce((total, { held }) => total + held, 0);
}

/**
 * Max-min fair: everyone gets what they want, up to an equal part of what is left. What nobody wants is split evenly.
 * @returns shares in the order of `wanted`; they add up to `whole`
 */
export function fairShares(whole: number, wanted: readonly number[]): number[] {
  const shares = wanted.map(() => 0);
  const byWant = wanted.map((want, index) => ({ want, index })).toSorted((a, b) => a.want - b.want);
  let left = whole;
  for (const [before, { want, index }] of byWant.entries()) {
    shares[index] = Math.min(want, Math.floor(left / (byWant.length - before)));
    left -= shares[index];
  }
  for (const [before, { index }] of byWant.entries()) {
    const more = Math.floor(left / (byWant.length - before));
    shares[index] = (shares[index] ?? 0) + more;
    left -= more;
  }
  return shares;
}

function isShort({ share, use }: Side): boolean {
  return use.refused > 0 || (share > 0 && share - use.inFlight < share * SPARE);
}
