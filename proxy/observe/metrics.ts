/** All metrics of one process: those of the upstreams, and those that other parts of the proxy register. */
import { BUCKETS_MS, UpstreamCounters } from './counters.ts';
import type { Latencies } from './counters.ts';
import { counter, labelText } from './snapshot.ts';
import type { Family, MetricsSnapshot, Sample, Values } from './snapshot.ts';

/** Called at each scrape. Label values must be a bounded set: upstream ids and our own words, never a client's text. */
export type Collect = () => readonly Family[];

/** The label of requests without a route. */
const UNROUTED = 'unrouted';
/** How many upstreams that left the table are still shown, for exchanges that end after that. */
const MAX_LEAVING = 64;

export class Metrics {
  readonly unrouted = new UpstreamCounters();
  readonly #upstreams = new Map<string, UpstreamCounters>();
  /** Upstream that left → its request count at the last scrape. */
  readonly #leaving = new Map<string, number>();
  readonly #collectors = new Set<Collect>();

  upstream(id: string): UpstreamCounters {
    this.#leaving.delete(id);
    const known = this.#upstreams.get(id);
    if (known) return known;
    const counters = new UpstreamCounters();
    this.#upstreams.set(id, counters);
    return counters;
  }

  /** Drops an upstream's counters once they do not change between two scrapes. */
  forget(id: string): void {
    const counters = this.#upstreams.get(id);
    if (!counters) return;
    const [oldest] = this.#leaving.keys();
    if (this.#leaving.size >= MAX_LEAVING && oldest !== undefined) this.#drop(oldest);
    this.#leaving.set(id, -1);
  }

  /** @returns unregisters it */
  register(collect: Collect): () => void {
    this.#collectors.add(collect);
    return () => void this.#collectors.delete(collect);
  }

  snapshot(): MetricsSnapshot {
    const counted = [...this.#upstreams, [UNROUTED, this.unrouted] as const];
    const all = counted.map(([upstream, counters]): Counted => [labelText({ upstream }), counters]);
    const families = [...upstreamFamilies(all), ...[...this.#collectors].flatMap((collect) => collect())];
    for (const [id, before] of this.#leaving) {
      const requests = this.#upstreams.get(id)?.requests;
      if (requests === undefined || requests === before) this.#drop(id);
      else this.#leaving.set(id, requests);
    }
    return { families };
  }

  #drop(id: string): void {
    this.#leaving.delete(id);
    this.#upstreams.delete(id);
  }
}

/** An upstream's label, made once per scrape, and its counters. */
type Counted = readonly [label: string, counters: UpstreamCounters];

function upstreamFamilies(all: readonly Counted[]): Family[] {
  const per = (name: `${string}_total`, help: string, read: (counters: UpstreamCounters) => number): Family =>
    countsOf(
      name,
      help,
      all.map(([labels, counters]) => ({ suffix: '', labels, value: read(counters) })),
    );
  return [
    countsOf('orkestr_proxy_requests_total', 'Requests that have ended, by the class of their status.', byClass(all)),
    per('orkestr_proxy_failed_total', 'Requests that app or proxy broke.', ({ failed }) => failed),
    per('orkestr_proxy_abandoned_total', 'Requests that the client gave up.', ({ abandoned }) => abandoned),
    per('orkestr_proxy_unclaimed_total', 'Requests that no app was asked for.', ({ unclaimed }) => unclaimed),
    per('orkestr_proxy_received_bytes_total', 'Body bytes from clients.', ({ bytesIn }) => bytesIn),
    per('orkestr_proxy_sent_bytes_total', 'Body bytes to clients.', ({ bytesOut }) => bytesOut),
    counter('orkestr_proxy_engine_requests_total', 'Requests by the engine that carried them.', byEngine(all)),
    histogram(
      'orkestr_proxy_request_seconds',
      'From the head of a request to the last byte of its answer.',
      all.map(([label, { durations }]) => [label, durations]),
    ),
    histogram(
      'orkestr_proxy_app_seconds',
      "From the head of a request to the head of the app's answer.",
      all.map(([label, { appTimes }]) => [label, appTimes]),
    ),
  ];
}

const countsOf = (name: `${string}_total`, help: string, samples: readonly Sample[]): Family => ({
  name,
  help,
  type: 'counter',
  merge: 'sum',
  samples,
});

function byClass(all: readonly Counted[]): Sample[] {
  return all.flatMap(([label, { statuses }]) =>
    statuses.map((value, digit) => ({
      suffix: '',
      labels: `${label},status="${digit === 0 ? 'none' : `${digit}xx`}"`,
      value,
    })),
  );
}

/** Summed over all upstreams, because the engine depends on the route. */
function byEngine(all: readonly Counted[]): Values {
  const sum = (engine: 'fast' | 'general' | 'h2'): number =>
    all.reduce((total, [, { engines }]) => total + engines[engine], 0);
  return (['fast', 'general', 'h2'] as const).map((engine) => [{ engine }, sum(engine)]);
}

const BOUNDS: readonly string[] = [...BUCKETS_MS.map((ms) => String(ms / 1000)), '+Inf'];

function histogram(name: string, help: string, all: readonly (readonly [string, Latencies])[]): Family {
  const samples = all.flatMap(([label, { counts, sumMs }]): Sample[] => {
    let value = 0;
    const buckets = counts.map((inBucket, index): Sample => {
      value += inBucket;
      return { suffix: '_bucket', labels: `${label},le="${BOUNDS[index]}"`, value };
    });
    return [
      ...buckets,
      { suffix: '_sum', labels: label, value: sumMs / 1000 },
      { suffix: '_count', labels: label, value },
    ];
  });
  return { name, help, type: 'histogram', merge: 'sum', samples };
}
