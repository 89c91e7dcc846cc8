/** The figures of a run: as JSON for programs, and next to the bars for people. */
import { CASES } from './cases.ts';
import type { CaseName } from './cases.ts';
import { median } from './median.ts';
import type { ProxyName } from './proxies/proxies.ts';

type ByProxy<T> = Partial<Record<ProxyName, T | null>>;

/** The last line of stdout. Null is a missing figure: the proxy cannot do the case, or failed at it. */
export interface Figures {
  /** Microseconds of CPU per request. */
  readonly cases: Partial<Record<CaseName, ByProxy<number>>>;
  /** Milliseconds. */
  readonly latency2000rps: ByProxy<{ readonly p50: number; readonly p99: number }>;
  /** Ours: resident at rest, in 10^6 bytes; and what an idle keep-alive connection adds, in bytes. */
  readonly rssMB: number | null;
  readonly idleBytesPerConnection: number | null;
}

/** The same two figures for every proxy, for the table. */
export type MemoryTable = ByProxy<{ readonly rssMB: number; readonly idleBytesPerConnection: number }>;

const MAX_RSS_MB = 60;
const MAX_IDLE_BYTES = 8 * 1024;

interface Bar {
  readonly name: string;
  readonly found: number;
  readonly most: number;
}

/** The figures compared with the bars; missing figures are skipped. */
export function barsOf({ cases, rssMB, idleBytesPerConnection }: Figures): Bar[] {
  const bars: Bar[] = [];
  const add = (name: string, found: number | null | undefined, most: number): void => {
    if (found !== null && found !== undefined && Number.isFinite(found)) bars.push({ name, found, most });
  };
  for (const [name, figures] of Object.entries(cases) as [CaseName, ByProxy<number>][]) {
    const { ours, nginx, haproxy, caddy } = figures;
    if (typeof ours !== 'number') continue;
    const best = Math.min(nginx ?? Infinity, haproxy ?? Infinity);
    add(`${name} / better of nginx, haproxy`, best < Infinity ? ours / best : null, CASES[name].bars.best);
    add(`${name} / caddy`, typeof caddy === 'number' ? ours / caddy : null, CASES[name].bars.caddy);
  }
  add('resident at rest, MB', rssMB, MAX_RSS_MB);
  add('bytes per idle connection', idleBytesPerConnection, MAX_IDLE_BYTES);
  return bars;
}

/** Tables in Markdown, which go into docs/performance.md unchanged. */
export function tables(figures: Figures, memory: MemoryTable, proxies: readonly ProxyName[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const head = (first: string): string[] => [row([first, ...proxies]), row(['---', ...proxies.map(() => '---:')])];
  const cell = (value: number | null | undefined, digits: number): string =>
    value === null || value === undefined ? '-' : value.toFixed(digits);
  const lines = [...head('us CPU per request')];
  for (const [name, byProxy] of Object.entries(figures.cases)) {
    lines.push(row([name, ...proxies.map((proxy) => cell(byProxy[proxy], 1))]));
  }
  lines.push('', ...head('other'));
  for (const share of ['p50', 'p99'] as const) {
    const values = proxies.map((proxy) => cell(figures.latency2000rps[proxy]?.[share], 2));
    lines.push(row([`${share} at 2,000 rps, ms`, ...values]));
  }
  lines.push(row(['resident at rest, MB', ...proxies.map((proxy) => cell(memory[proxy]?.rssMB, 1))]));
  const idle = proxies.map((proxy) => cell(memory[proxy]?.idleBytesPerConnection, 0));
  lines.push(row(['bytes per idle connection', ...idle]), '', row(['ours', 'found', 'bar', '']), '|---|---:|---:|---|');
  for (const { name, found, most } of barsOf(figures)) {
    lines.push(row([name, found.toFixed(found < 10 ? 2 : 0), `<= ${most}`, found <= most ? 'met' : '**not met**']));
  }
  return lines.join('\n');
}

/** The median, with as many digits as are meaningful. */
export function figure(samples: readonly number[], digits = 1): number | null {
  const value = median(samples);
  return value === null ? null : Number(value.toFixed(digits));
}
