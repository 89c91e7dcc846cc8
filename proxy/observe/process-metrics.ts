/** Resource use of one process. The names are those of Prometheus' own clients, so that existing dashboards fit. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { uncaughtErrors } from '../uncaught.ts';
import type { Collect } from './metrics.ts';
import { counter, gauge } from './snapshot.ts';

/** How finely the delay is sampled, ms. */
const RESOLUTION_MS = 100;
const QUANTILES = [0.5, 0.99, 1] as const;

/** @returns collects the metrics; the delays are those since the previous collection */
export function watchProcess(): { readonly collect: Collect; close(): void } {
  let monitor: ReturnType<typeof startMonitor> | null = null;
  const startedAt = Date.now() / 1000 - process.uptime();
  const collect: Collect = () => {
    const delays = (monitor ??= startMonitor());
    const { user, system } = process.cpuUsage();
    // The monitor measures the time between ticks; only the part above its resolution is delay.
    const late = QUANTILES.map((quantile) => {
      const ms = delays.percentile(quantile * 100) / 1e6 - RESOLUTION_MS;
      return [{ quantile }, Math.max(0, ms) / 1000] as const;
    });
    delays.reset();
    return [
      counter('process_cpu_seconds_total', 'CPU time, user and system.', (user + system) / 1e6),
      counter('orkestr_proxy_uncaught_total', 'Errors that nobody caught; each is in the log.', uncaughtErrors()),
      gauge('process_resident_memory_bytes', 'Memory that is really there.', process.memoryUsage.rss()),
      gauge('process_start_time_seconds', 'Start, since the epoch.', startedAt, 'max'),
      gauge('orkestr_proxy_event_loop_delay_seconds', 'How late work began, since the last scrape.', late, 'max'),
    ];
  };
  return { collect, close: () => monitor?.disable() };
}

/** Started on the first scrape, because the monitor takes a third of the CPU time of an idle proxy. */
function startMonitor(): ReturnType<typeof monitorEventLoopDelay> {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  monitor.enable();
  return monitor;
}
