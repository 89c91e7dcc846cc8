/** The observer of one process: counts every exchange, and writes the access log. */
import type { Clock } from '../clock.ts';
import type { AccessLogMode } from '../config.ts';
import { AccessLog, droppedLine } from './access-log.ts';
import type { UpstreamCounters } from './counters.ts';
import { LogSink } from './log-sink.ts';
import { makeLogWriter } from './log-writer.ts';
import { Metrics } from './metrics.ts';
import type { Collect } from './metrics.ts';
import type { Ended, Observer, UpstreamMetrics } from './observer.ts';
import { watchProcess } from './process-metrics.ts';
import { counter, renderMetrics } from './snapshot.ts';
import type { MetricsSnapshot } from './snapshot.ts';

interface ObserverOptions {
  readonly accessLog: AccessLogMode;
  /** Descriptor of the log; 1 is stdout. It stays open. */
  readonly accessLogFd: number;
}

export class EdgeObserver implements Observer {
  readonly #metrics = new Metrics();
  readonly #process = watchProcess();
  readonly #sink: LogSink | null;
  readonly #log: AccessLog | null;

  constructor({ accessLog, accessLogFd }: ObserverOptions, clock: Clock) {
    if (accessLog === 'off') {
      this.#sink = null;
      this.#log = null;
    } else {
      this.#sink = new LogSink(makeLogWriter(accessLogFd), (dropped) => droppedLine(clock, dropped));
      this.#log = new AccessLog(accessLog.share, clock, this.#sink);
    }
    this.register(this.#process.collect);
    this.register(() => [
      counter('orkestr_proxy_log_dropped_total', 'Access log lines dropped.', this.#sink?.dropped ?? 0),
    ]);
  }

  upstream(id: string): UpstreamMetrics {
    return new Watched(id, this.#metrics.upstream(id), this.#log);
  }

  unrouted(exchange: Ended): void {
    this.#metrics.unrouted.add(exchange);
    this.#log?.record(null, exchange);
  }

  forget(id: string): void {
    this.#metrics.forget(id);
  }

  /**
   * Adds metrics that are read at each scrape.
   * @returns removes them again
   */
  register(collect: Collect): () => void {
    return this.#metrics.register(collect);
  }

  /** For the process that serves the scrape, which sums several with {@link renderMetrics}. */
  snapshot(): MetricsSnapshot {
    return this.#metrics.snapshot();
  }

  /** Metrics of this process alone, in the format of `GET /v1/metrics` (METRICS_TYPE). */
  metrics(): string {
    return renderMetrics([this.snapshot()]);
  }

  /** Writes the remaining lines of the log. The last call. */
  async close(): Promise<void> {
    this.#process.close();
    await this.#sink?.close();
  }
}

class Watched implements UpstreamMetrics {
  readonly #id: string;
  readonly #counters: UpstreamCounters;
  readonly #log: AccessLog | null;

  constructor(id: string, counters: UpstreamCounters, log: AccessLog | null) {
    this.#id = id;
    this.#counters = counters;
    this.#log = log;
  }

  ended(exchange: Ended): void {
    this.#counters.add(exchange);
    this.#log?.record(this.#id, exchange);
  }
}
