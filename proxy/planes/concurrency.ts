/**
 * How many requests of an environment may be in flight at once (`maxConcurrent`), over several planes. A claim cannot wait for
 * other processes, so each plane has a share of the limit, and all shares together are never more than it. Shares go to
 * where requests are: a plane that has little left gets what others do not use, before or soon after it has to refuse.
 */
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { ConcurrencyShare, ConcurrencyUse } from '../upstream/concurrency.ts';
import type { Planes } from './planes.ts';

/** Of its share that a plane must have left, or it gets more where there is more. */
const SPARE = 1 / 4;

interface Limit {
  readonly max: number;
  readonly shares: Map<Planes, Share>;
}

/** What one plane has of it. */
interface Share {
  /** As it was told, requests. */
  readonly told: number;
  /** The same, or more: what it had in flight when its share became smaller is not there for others yet. */
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

  /** @param planes as many will there be, so that the first ones leave the others something */
  constructor(planes: number) {
    this.#planes = planes;
  }

  /** The shares of a plane, of those entries that have a limit. A new limit is split evenly. */
  sharesOf(plane: Planes, entries: Iterable<UpstreamEntry>): ConcurrencyShare[] {
    const shares: ConcurrencyShare[] = [];
    for (const { id, edge } of entries) {
      const max = edge.maxConcurrent;
      if (max === 0) this.#limits.delete(id);
      else shares.push({ id, part: this.#shareOf(plane, this.#limitOf(id, max)) });
    }
    return shares;
  }

  /** It has gone, and leaves its shares to the others. */
  leave(plane: Planes): void {
    for (const { shares } of this.#limits.values()) shares.delete(plane);
  }

  remove(id: string): void {
    this.#limits.delete(id);
  }

  /** One round: shares of planes that have more than they need go to those that have too little. */
  async round(planes: readonly Planes[]): Promise<void> {
    if (this.#limits.size === 0) return;
    const told = await Promise.all(planes.map(async (plane) => ({ plane, uses: await plane.shareConcurrency([]) })));
    for (const [id, limit] of this.#limits) {
      const sides = told.flatMap(({ plane, uses }): Side[] => {
        const use = uses.find((one) => one.id === id);
        const share = limit.shares.get(plane)?.told;
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
    if (known !== undefined) return known.told;
    const told = Math.max(0, Math.min(max - heldBy(shares), Math.ceil(max / this.#planes)));
    shares.set(plane, { told, held: told });
    return told;
  }

  /** First those that give, then those that get: what is in flight beyond a smaller share is not there to be given yet. */
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
        if (limit.shares.has(plane)) limit.shares.set(plane, { told: less, held: Math.max(less, inFlight) });
      }),
    );
    const told: Promise<unknown>[] = [];
    for (const [index, { plane, share }] of sides.entries()) {
      const more = Math.min((fair[index] ?? share) - share, limit.max - heldBy(limit.shares));
      // The limit may be another one by now, or none.
      const before = limit.shares.get(plane);
      if (more <= 0 || before === undefined || this.#limits.get(id) !== limit) continue;
      limit.shares.set(plane, { told: share + more, held: Math.max(before.held, share + more) });
      told.push(plane.shareConcurrency([{ id, part: share + more }]));
    }
    await Promise.all(told);
  }
}

function heldBy(shares: Limit['shares']): number {
  return [...shares.values()].reduce((total, { held }) => total + held, 0);
}

/**
 * Everybody gets what they want as far as it is no more than the others', and of what nobody wants as much as the others.
 * @returns shares in the order of what is wanted; their sum is the whole
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
