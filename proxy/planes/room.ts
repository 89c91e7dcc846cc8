/**
 * How many requests of an environment may be in flight at once (`maxConcurrent`), over several planes. A claim cannot wait for
 * other processes, so each plane has a part of the room, and all parts together are never more than the whole. Parts go to
 * where requests are: a plane that has little left gets what others do not use, before or soon after it has to refuse.
 */
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { Part, RoomUse } from '../upstream/room.ts';
import type { Planes } from './planes.ts';

/** Of its part that a plane must have left, or it gets more where there is more. */
const SPARE = 1 / 4;

interface Room {
  readonly max: number;
  readonly parts: Map<Planes, Share>;
}

/** What one plane has of it. */
interface Share {
  /** As it was told. */
  readonly part: number;
  /** The same, or more: what it had in flight when its part became smaller is not there for others yet. */
  readonly held: number;
}

interface Side {
  readonly plane: Planes;
  readonly part: number;
  readonly use: RoomUse;
}

export class RoomExchange {
  readonly #shares: number;
  readonly #rooms = new Map<string, Room>();

  /** @param shares as many planes will there be, so that the first ones leave the others something */
  constructor(shares: number) {
    this.#shares = shares;
  }

  /** The parts of a plane, of those entries that have a limit. A new limit is split evenly. */
  partsOf(plane: Planes, entries: Iterable<UpstreamEntry>): Part[] {
    const parts: Part[] = [];
    for (const { id, edge } of entries) {
      const max = edge.maxConcurrent;
      if (max === 0) this.#rooms.delete(id);
      else parts.push({ id, part: this.#partOf(plane, this.#roomOf(id, max)) });
    }
    return parts;
  }

  /** It has gone, and leaves its parts to the others. */
  leave(plane: Planes): void {
    for (const { parts } of this.#rooms.values()) parts.delete(plane);
  }

  remove(id: string): void {
    this.#rooms.delete(id);
  }

  /** One round: parts of planes that have more than they need go to those that have too little. */
  async round(planes: readonly Planes[]): Promise<void> {
    if (this.#rooms.size === 0) return;
    const told = await Promise.all(planes.map(async (plane) => ({ plane, uses: await plane.shareRoom([]) })));
    for (const [id, room] of this.#rooms) {
      const sides = told.flatMap(({ plane, uses }): Side[] => {
        const use = uses.find((one) => one.id === id);
        const part = room.parts.get(plane)?.part;
        return use === undefined || part === undefined ? [] : [{ plane, part, use }];
      });
      if (sides.some(isShort)) await this.#move(id, room, sides);
    }
  }

  #roomOf(id: string, max: number): Room {
    const known = this.#rooms.get(id);
    if (known?.max === max) return known;
    const room: Room = { max, parts: new Map() };
    this.#rooms.set(id, room);
    return room;
  }

  #partOf(plane: Planes, { max, parts }: Room): number {
    const known = parts.get(plane);
    if (known !== undefined) return known.part;
    const part = Math.max(0, Math.min(max - heldBy(parts), Math.ceil(max / this.#shares)));
    parts.set(plane, { part, held: part });
    return part;
  }

  /** First those that give, then those that get: what is in flight beyond a smaller part is not there to be given yet. */
  async #move(id: string, room: Room, sides: readonly Side[]): Promise<void> {
    const fair = fairParts(
      room.max,
      sides.map(({ use }) => use.inFlight + use.refused),
    );
    await Promise.all(
      sides.map(async ({ plane, part, use }, index) => {
        const less = Math.min(part, fair[index] ?? part);
        const uses = less < part ? await plane.shareRoom([{ id, part: less }]) : [use];
        const inFlight = uses.find((one) => one.id === id)?.inFlight ?? 0;
        if (room.parts.has(plane)) room.parts.set(plane, { part: less, held: Math.max(less, inFlight) });
      }),
    );
    const told: Promise<unknown>[] = [];
    for (const [index, { plane, part }] of sides.entries()) {
      const more = Math.min((fair[index] ?? part) - part, room.max - heldBy(room.parts));
      // The limit may be another one by now, or none.
      const share = room.parts.get(plane);
      if (more <= 0 || share === undefined || this.#rooms.get(id) !== room) continue;
      room.parts.set(plane, { part: part + more, held: Math.max(share.held, part + more) });
      told.push(plane.shareRoom([{ id, part: part + more }]));
    }
    await Promise.all(told);
  }
}

function heldBy(parts: Room['parts']): number {
  return [...parts.values()].reduce((total, { held }) => total + held, 0);
}

/**
 * Everybody gets what they want as far as it is no more than the others', and of what nobody wants as much as the others.
 * @returns parts in the order of what is wanted; their sum is the whole
 */
export function fairParts(whole: number, wanted: readonly number[]): number[] {
  const parts = wanted.map(() => 0);
  const byWant = wanted.map((want, index) => ({ want, index })).toSorted((a, b) => a.want - b.want);
  let left = whole;
  for (const [before, { want, index }] of byWant.entries()) {
    parts[index] = Math.min(want, Math.floor(left / (byWant.length - before)));
    left -= parts[index];
  }
  for (const [before, { index }] of byWant.entries()) {
    const more = Math.floor(left / (byWant.length - before));
    parts[index] = (parts[index] ?? 0) + more;
    left -= more;
  }
  return parts;
}

function isShort({ part, use }: Side): boolean {
  return use.refused > 0 || (part > 0 && part - use.inFlight < part * SPARE);
}
