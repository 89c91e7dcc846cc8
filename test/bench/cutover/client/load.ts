/** Requests at a fixed rate, whatever happens to earlier ones: an open loop, like real visitors. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Payload } from '../app/payload.ts';
import { nowMs } from '../clock.ts';
import { KINDS, perform } from './kinds.ts';
import type { Kind } from './kinds.ts';
import type { Dialer } from './dialer.ts';
import { Http1Way } from './http1-way.ts';
import { Http2Way } from './http2-way.ts';
import type { TallyBook } from './tally.ts';
import type { Way } from './ways.ts';

const TICK_MS = 5;
/** Ramp-up time from no load to full load, ms. */
export const RISE_MS = 3_000;
/** Longest wait for the last responses, ms: longer than the silence that ends a request. */
const FINISH_MS = 15_000;
/** Maximum number of requests in flight, so that the load does not pile up on a hung proxy. */
const MAX_IN_FLIGHT = 4_000;
/** Requests later than this are not made up for, ms: a burst would measure the client. */
const MAX_BEHIND_MS = 250;
/** One in this many requests on new connections uses TLS: each costs both sides a key exchange. */
const NEW_TLS_ONE_OF = 4;

export class Load {
  readonly #book: TallyBook;
  readonly #payload: Payload;
  readonly #kept: readonly Way[];
  readonly #fresh: readonly Way[];
  readonly #plan: readonly Kind[] = interleave(KINDS);
  /** Each with its name. */
  readonly #inFlight = new Map<Promise<void>, string>();
  #timer: NodeJS.Timeout | null = null;
  #sent = 0;

  constructor(dialer: Dialer, payload: Payload, book: TallyBook) {
    this.#book = book;
    this.#payload = payload;
    const http1 = (tls: boolean, kept: boolean): Way => new Http1Way(dialer, { tls, kept });
    const [kept, fresh] = [http1(false, true), http1(false, false)];
    if (!dialer.hasTls) {
      this.#kept = [kept];
      this.#fresh = [fresh];
    } else {
      // Half of the traffic in cleartext, the other half over TLS with both protocols.
      this.#kept = [kept, http1(true, true), kept, new Http2Way(dialer)];
      this.#fresh = [...Array.from({ length: NEW_TLS_ONE_OF - 1 }, () => fresh), http1(true, false)];
    }
  }

  start(rps: number): void {
    const began = nowMs();
    let due = 0;
    this.#timer = setInterval(() => {
      const upTo = dueAfter(nowMs() - began, rps);
      const behind = upTo - due - Math.ceil((rps * MAX_BEHIND_MS) / 1000);
      if (behind > 0) {
        this.#book.skipped(behind);
        due += behind;
      }
      for (; due < upTo; due += 1) this.#send();
    }, TICK_MS);
  }

  /** Stops sending and waits for all responses. A response that never ends counts as failed. */
  async finish(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    const patience = new AbortController();
    const over = pause(FINISH_MS, undefined, { signal: patience.signal }).catch(() => undefined); // all were answered
    await Promise.race([Promise.all(this.#inFlight.keys()), over]);
    patience.abort();
    for (const what of this.#inFlight.values()) this.#book.fault(what, new Error('it had no end'));
    for (const way of new Set([...this.#kept, ...this.#fresh])) way.close();
  }

  #send(): void {
    if (this.#inFlight.size >= MAX_IN_FLIGHT) return this.#book.skipped(1);
    const number = this.#sent;
    this.#sent += 1;
    const kind = this.#plan[number % this.#plan.length] as Kind;
    // Each round of the plan shifts the ways, so that each kind uses each of them.
    const ways = kind.fresh ? this.#fresh : this.#kept;
    const way = ways[(number + Math.floor(number / this.#plan.length)) % ways.length] as Way;
    const name = `${kind.name}, ${way.name}`;
    const run = this.#perform(kind, way, String(number)).finally(() => this.#inFlight.delete(run));
    this.#inFlight.set(run, name);
  }

  async #perform(kind: Kind, way: Way, mark: string): Promise<void> {
    const began = nowMs();
    try {
      const version = await perform(kind, way, this.#payload, mark);
      this.#book.answered(`${kind.name}, ${way.name}`, version, kind.timed ? nowMs() - began : null);
    } catch (error) {
      // Every fault is counted; the bench expects none.
      this.#book.fault(`${kind.name}, ${way.name}`, error);
    }
  }
}

/** Requests due by then. The rate ramps up, since at first nothing is compiled and no connection exists. */
function dueAfter(ms: number, rps: number): number {
  const rising = Math.min(ms, RISE_MS);
  return Math.floor(((rising ** 2 / (2 * RISE_MS) + ms - rising) * rps) / 1000);
}

/** A plan in which each kind has its share, spread evenly. */
export function interleave(kinds: readonly Kind[]): Kind[] {
  const slots = kinds.flatMap((kind) =>
    Array.from({ length: kind.share }, (_, index) => ({ kind, at: (index + 0.5) / kind.share })),
  );
  return slots.toSorted((one, other) => one.at - other.at).map(({ kind }) => kind);
}
