/**
 * One running container address and what is in flight to it.
 *
 * `healthy → draining → gone`. Only a healthy target gives claims. Retired, it drains; it is gone at the moment when
 * nothing is in flight, and since no claim can be added by then, gone is final: the container may be stopped.
 */
import type { TargetAddress, TargetState, TargetView } from '../protocol/proxy-admin.ts';
import type { TargetCount } from '../protocol/steps.ts';
import type { Clock } from './clock.ts';

/** How a claim ended: answered in full, broken by app or proxy, or given up by the client. */
export type Outcome = 'served' | 'failed' | 'abandoned';

/** The right to send one request to a target, counted from the moment it is given. */
export interface Claim {
  readonly target: Target;
  /** What ends the exchange at once; called at most once, when a drain reaches its deadline. */
  onCut(cut: () => void): void;
  /** Ends the claim. Only the first call counts. */
  release(outcome: Outcome): void;
}

export interface Drained {
  readonly ms: number;
  /** Connections of this target cut by any drain up to now. */
  readonly forced: number;
}

interface OpenClaim extends Claim {
  cut(): void;
}

export class Target {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  #state: TargetState = 'healthy';
  #served = 0;
  #failed = 0;
  #forced = 0;
  readonly #claims = new Set<OpenClaim>();
  readonly #whenRetired: (() => void)[] = [];
  readonly #whenGone = new Set<() => void>();

  constructor(entry: TargetAddress) {
    this.id = entry.id;
    this.address = entry.address;
    this.port = entry.port;
  }

  get state(): TargetState {
    return this.#state;
  }

  get inFlight(): number {
    return this.#claims.size;
  }

  get requests(): TargetCount {
    return { served: this.#served, failed: this.#failed };
  }

  get forced(): number {
    return this.#forced;
  }

  /** Picks and counts in one synchronous act, so that no flip can land between the two. Null once retired. */
  claim(): Claim | null {
    if (this.#state !== 'healthy') return null;
    let open = true;
    let cut: (() => void) | null = null;
    const claim: OpenClaim = {
      target: this,
      onCut: (callback) => {
        cut = callback;
      },
      cut: () => cut?.(),
      release: (outcome) => {
        if (!open) return;
        open = false;
        this.#end(claim, outcome);
      },
    };
    this.#claims.add(claim);
    return claim;
  }

  /** No more claims from here on. */
  retire(): void {
    if (this.#state !== 'healthy') return;
    this.#state = 'draining';
    for (const callback of this.#whenRetired) callback();
    this.#settle();
  }

  onRetired(callback: () => void): void {
    this.#whenRetired.push(callback);
  }

  /** Waits until nothing is in flight; at the deadline cuts what is left. Retires the target. Several may wait at once. */
  async drain(deadlineMs: number, clock: Clock): Promise<Drained> {
    const startedAt = clock.monotonic();
    this.retire();
    if (this.#state !== 'gone') {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => this.cut(), deadlineMs);
        this.#whenGone.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return { ms: clock.monotonic() - startedAt, forced: this.#forced };
  }

  /** Ends everything in flight now. */
  cut(): void {
    for (const claim of this.#claims) {
      this.#forced += 1;
      claim.cut();
      // The engine counts a cut as it sees fit; a claim that it left open must not hold up the drain.
      claim.release('failed');
    }
  }

  view(): TargetView {
    const { id, address, port, state, inFlight, requests } = this;
    return { id, address, port, state, inFlight, requests };
  }

  #end(claim: OpenClaim, outcome: Outcome): void {
    this.#claims.delete(claim);
    if (outcome === 'served') this.#served += 1;
    if (outcome === 'failed') this.#failed += 1;
    this.#settle();
  }

  #settle(): void {
    if (this.#state !== 'draining' || this.#claims.size > 0) return;
    this.#state = 'gone';
    for (const callback of this.#whenGone) callback();
    this.#whenGone.clear();
  }
}
