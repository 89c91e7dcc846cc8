/** Counters of one upstream: plain numbers, one increment each on the hot path. Text is made at the scrape. */
import type { Ended } from './observer.ts';

/** Upper bounds of the latency buckets, ms. The last bucket is above all of them and has no bound. */
export const BUCKETS_MS: readonly number[] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/** Counts per bucket (not cumulative), and the sum of all times, ms. */
export class Latencies {
  readonly counts = zeros(BUCKETS_MS.length + 1);
  sumMs = 0;

  add(ms: number): void {
    let bucket = 0;
    while (bucket < BUCKETS_MS.length && ms > (BUCKETS_MS[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sumMs += ms;
  }
}

export class UpstreamCounters {
  /** By the first digit of the status; 0: no response was sent. */
  readonly statuses = zeros(6);
  readonly durations = new Latencies();
  /** Of exchanges that an app responded to. */
  readonly appTimes = new Latencies();
  failed = 0;
  abandoned = 0;
  /** Requests that the proxy answered itself, before any claim. */
  unclaimed = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly engines = { fast: 0, general: 0, h2: 0 };

  add(exchange: Ended): void {
    const { status, outcome } = exchange;
    const digit = status >= 100 && status < 600 ? (status / 100) | 0 : 0;
    this.statuses[digit] = (this.statuses[digit] as number) + 1;
    if (outcome === 'failed') this.failed += 1;
    else if (outcome === 'abandoned') this.abandoned += 1;
    if (exchange.targetId === null) this.unclaimed += 1;
    this.bytesIn += exchange.bytesIn;
    this.bytesOut += exchange.bytesOut;
    this.#countEngine(exchange.engine);
    this.durations.add(exchange.durationMs);
    if (exchange.appMs > 0) this.appTimes.add(exchange.appMs);
  }

  /** Named properties: a computed key would be a megamorphic lookup, over every object shape that the process knows. */
  #countEngine(engine: Ended['engine']): void {
    if (engine === 'fast') this.engines.fast += 1;
    else if (engine === 'h2') this.engines.h2 += 1;
    else this.engines.general += 1;
  }

  get requests(): number {
    return this.statuses.reduce((sum, count) => sum + count, 0);
  }
}
