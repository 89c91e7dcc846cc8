/**
 * Requests that wait in order of arrival while an upstream is held. Their number, their bytes in memory and their wait
 * are limited; beyond a limit they are refused. Nothing more is read from a waiting client: it sees a slow server.
 */
import type { Clock } from '../clock.ts';
import { addWait } from './waits.ts';
import type { WaitCounts } from './waits.ts';

/** A request that may wait. */
export interface Waiter {
  /** What it keeps in memory while it waits: the head, and what was read of the body, bytes. */
  readonly bytes: number;
  /** Its turn. It must claim within this call: only then may it claim ahead of those that still wait. */
  go(): void;
  /** It waited too long, or the proxy is shutting down: it answers 503 with Retry-After. */
  refuse(): void;
}

export interface HoldBounds {
  readonly maxRequests: number;
  readonly maxBytes: number;
  readonly maxMs: number;
}

/** How many go on per turn of the event loop: other work must not wait for the thousand that a flip releases. */
const GO_AT_ONCE = 32;
/** How long to wait before looking again for room for the next request, ms. */
const ROOM_MS = 4;

interface Place {
  readonly bytes: number;
  readonly since: number;
}

export class Hold {
  readonly #waits: WaitCounts;
  readonly #clock: Clock;
  /** A map keeps the order and lets any request leave from the middle. */
  readonly #queue = new Map<Waiter, Place>();
  readonly #hasRoom: () => boolean;
  readonly #emptied: () => void;
  #bounds: HoldBounds;
  #bytes = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Runs while there is no room for the next request. */
  #pause: NodeJS.Timeout | undefined;
  /** Set once the hold is ended: waiting requests go on, and once they are gone nobody has to wait. */
  #ending = false;
  #going = false;

  /**
   * @param waits gets the counts
   * @param hasRoom false: a claim would be refused now
   * @param emptied called once the hold is ended and nobody waits any more
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

  /** True during the turn of one request: only that one may claim. */
  get letsGo(): boolean {
    return this.#going;
  }

  /** Renews the hold with other bounds; if it was about to end, it no longer is. */
  renew(bounds: HoldBounds): void {
    this.#bounds = bounds;
    this.#ending = false;
    clearTimeout(this.#pause);
    this.#arm();
  }

  /** True: it waits, and exactly one of `go` and `refuse` is called unless it leaves. False: there is no room. */
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

  /** Removes a request whose client has gone. */
  leave(waiter: Waiter): void {
    if (this.#take(waiter) && this.#ending) this.#settle();
  }

  /** All go on, a few at a time and as there is room; requests that arrive meanwhile queue behind them. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    // Not within this call: the caller that ends the hold is answered first.
    if (this.#queue.size > 0) setImmediate(() => this.#letGo());
    else this.#settle();
  }

  /** Refuses all waiting requests and ends the hold: the upstream or the process is going away. */
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
      // Even if one of them throws, the others have to go on.
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

  /** One timer, for the first in the queue, because its time is up first. */
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
