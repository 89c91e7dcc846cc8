/**
 * Requests that wait while an upstream is held, in the order in which they came. Bounded by number, by bytes in memory
 * and by time; whatever passes a bound is refused. Nothing of a waiting request is read on: its client sees a slow server.
 */
import type { Clock } from '../clock.ts';
import { addWait } from './waits.ts';
import type { WaitCounts } from './waits.ts';

/** A request that may wait. */
export interface Waiter {
  /** Bytes of it that are in memory while it waits: its head, and what of its body was read. */
  readonly bytes: number;
  /** Its turn. It claims within this call: a claim is given to it although others still wait. */
  go(): void;
  /** It waited too long, or the proxy ends: 503 with Retry-After. */
  refuse(): void;
}

export interface HoldBounds {
  readonly maxRequests: number;
  readonly maxBytes: number;
  readonly maxMs: number;
}

/** So many go on before others get their turn of the event loop: a flip must not wait for the thousand that it frees. */
const GO_AT_ONCE = 32;
/** Where there is no room for the next one it is looked for again after so long, ms. */
const ROOM_MS = 4;

interface Place {
  readonly bytes: number;
  readonly since: number;
}

export class Hold {
  readonly #waits: WaitCounts;
  readonly #clock: Clock;
  /** A map keeps the order, and lets anyone leave from the middle. */
  readonly #queue = new Map<Waiter, Place>();
  readonly #hasRoom: () => boolean;
  readonly #emptied: () => void;
  #bounds: HoldBounds;
  #bytes = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Until there may be room again. */
  #pause: NodeJS.Timeout | undefined;
  /** Set once it was ended: those that wait go on, and nobody has to wait once they are gone. */
  #ending = false;
  #going = false;

  /**
   * @param waits what is counted goes there
   * @param hasRoom false: a claim would be refused now, and not a moment later
   * @param emptied called once, when the hold was ended and nobody waits any more
   */
  constructor(bounds: HoldBounds, clock: Clock, waits: WaitCounts, hasRoom: () => boolean, emptied: () => void) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#waits = waits;
    this.#hasRoom = hasRoom;
    this.#emptied = emptied;
  }

  get size(): number {
    return this.#queue.size;
  }

  get bounds(): HoldBounds {
    return this.#bounds;
  }

  get isEnding(): boolean {
    return this.#ending;
  }

  /** True while the request of the moment has its turn: it alone may claim. */
  get letsGo(): boolean {
    return this.#going;
  }

  /** A hold that is asked for again: with other bounds, and no longer about to end. */
  renew(bounds: HoldBounds): void {
    this.#bounds = bounds;
    this.#ending = false;
    clearTimeout(this.#pause);
    this.#arm();
  }

  /** True: it waits, and exactly one of `go` and `refuse` follows unless it leaves. False: there is no room. */
  enter(waiter: Waiter): boolean {
    const { maxRequests, maxBytes } = this.#bounds;
    if (this.#queue.size >= maxRequests || this.#bytes + waiter.bytes > maxBytes) {
      this.#waits.refused += 1;
      return false;
    }
    const { bytes } = waiter;
    this.#queue.set(waiter, { bytes, since: this.#clock.monotonic() });
    this.#bytes += bytes;
    if (this.#timer === null) this.#arm();
    return true;
  }

  /** Its client has gone. */
  leave(waiter: Waiter): void {
    if (this.#take(waiter) && this.#ending) this.#settle();
  }

  /** All go on, a few at a time and as there is room for them; those who come meanwhile go behind them. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    // Not within this call: whoever ends the hold is answered first.
    if (this.#queue.size > 0) setImmediate(() => this.#letGo());
    else this.#settle();
  }

  /** Nobody goes on, and this is over: the upstream, or the process, is at its end. */
  refuseAll(): void {
    for (const waiter of this.#queue.keys()) this.#refuse(waiter);
    this.#settle();
  }

  #letGo(): void {
    if (!this.#ending) return;
    let isFull = false;
    try {
      isFull = !this.#letSomeGo();
    } finally {
      // Also when one of them fails: the others have to go on.
      if (this.#queue.size === 0) this.#settle();
      else if (isFull) this.#pause = setTimeout(() => this.#letGo(), ROOM_MS);
      else setImmediate(() => this.#letGo());
    }
  }

  /** @returns false when there is no room for the next one */
  #letSomeGo(): boolean {
    const now = this.#clock.monotonic();
    let left = GO_AT_ONCE;
    for (const [waiter, { since }] of this.#queue) {
      if (left === 0) break;
      if (!this.#hasRoom()) return false;
      left -= 1;
      this.#take(waiter);
      addWait(this.#waits, now - since);
      this.#going = true;
      try {
        waiter.go();
      } finally {
        this.#going = false;
      }
    }
    return true;
  }

  #settle(): void {
    if (this.#queue.size > 0) return;
    this.#disarm();
    clearTimeout(this.#pause);
    this.#emptied();
  }

  #take(waiter: Waiter): boolean {
    const place = this.#queue.get(waiter);
    if (!place) return false;
    this.#queue.delete(waiter);
    this.#bytes -= place.bytes;
    return true;
  }

  #refuse(waiter: Waiter): void {
    if (!this.#take(waiter)) return;
    this.#waits.refused += 1;
    waiter.refuse();
  }

  /** One timer, for the first in the queue: it is the first whose time is up. */
  #arm(): void {
    this.#disarm();
    const [first] = this.#queue.values();
    if (!first) return;
    const due = first.since + this.#bounds.maxMs - this.#clock.monotonic();
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, Math.ceil(due)));
  }

  #disarm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #expire(): void {
    const before = this.#clock.monotonic() - this.#bounds.maxMs;
    for (const [waiter, { since }] of this.#queue) {
      if (since > before) break;
      this.#refuse(waiter);
    }
    this.#arm();
  }
}
