/** Drains, counted from the answers of the admin API. */
import type { DrainAnswer } from '../../protocol/proxy-admin.ts';
import type { Collect } from './metrics.ts';
import { counter } from './snapshot.ts';
import type { Values } from './snapshot.ts';

interface Drains {
  count: number;
  ms: number;
  forced: number;
  streamsClosed: number;
}

export class DrainMetrics {
  readonly #upstreams = new Map<string, Drains>();

  ended(upstreamId: string, { known, ms, forced, streams }: DrainAnswer): void {
    if (!known) return;
    const before = this.#upstreams.get(upstreamId) ?? { count: 0, ms: 0, forced: 0, streamsClosed: 0 };
    this.#upstreams.set(upstreamId, {
      count: before.count + 1,
      ms: before.ms + ms,
      forced: before.forced + forced,
      streamsClosed: before.streamsClosed + streams.closed,
    });
  }

  /** For an upstream that has left the table. */
  forget(upstreamId: string): void {
    this.#upstreams.delete(upstreamId);
  }

  readonly collect: Collect = () => {
    const per = (of: (drains: Drains) => number): Values =>
      [...this.#upstreams].map(([upstream, drains]) => [{ upstream }, of(drains)]);
    return [
      counter(
        'orkestr_proxy_drains_total',
        'Drains that have ended.',
        per(({ count }) => count),
      ),
      counter(
        'orkestr_proxy_drain_seconds_total',
        'How long they took.',
        per(({ ms }) => ms / 1000),
      ),
      counter(
        'orkestr_proxy_drain_forced_total',
        'Plain requests cut at the deadline.',
        per(({ forced }) => forced),
      ),
      counter(
        'orkestr_proxy_drain_streams_closed_total',
        'Streams closed.',
        per(({ streamsClosed }) => streamsClosed),
      ),
    ];
  };
}
