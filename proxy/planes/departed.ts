/**
 * The last reported counts of planes that are gone: of a worker that died, or of the previous process. With them,
 * totals that were once shown never decrease. None of their requests is in flight any more.
 */
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { labelText, mergeSnapshots } from '../observe/snapshot.ts';
import type { Family, MetricsSnapshot } from '../observe/snapshot.ts';
import { sumCounts } from '../upstream/counts.ts';
import type { TargetCounts, TargetRole, UpstreamCounts } from '../upstream/counts.ts';
import type { Planes } from './planes.ts';

/** Retired targets kept per upstream, newest first; planes keep about as many. */
const RETIRED_KEPT = 64;

export class Departed {
  readonly #lastCounts = new Map<Planes, Map<string, UpstreamCounts>>();
  readonly #lastMetrics = new Map<Planes, readonly MetricsSnapshot[]>();
  readonly #counts = new Map<string, UpstreamCounts>();
  #metrics: MetricsSnapshot = { families: [] };

  /** Records some or all counts of a plane that is still there. */
  recordCounts(plane: Planes, counts: readonly UpstreamCounts[]): void {
    const last = this.#lastCounts.get(plane) ?? new Map<string, UpstreamCounts>();
    for (const one of counts) last.set(one.id, one);
    this.#lastCounts.set(plane, last);
  }

  recordMetrics(plane: Planes, metrics: readonly MetricsSnapshot[]): void {
    if (metrics.length > 0) this.#lastMetrics.set(plane, metrics);
  }

  /** Keeps the counts of a plane that has gone. @param entries the current ones, by id */
  left(plane: Planes, entries: ReadonlyMap<string, UpstreamEntry>): void {
    for (const counts of this.#lastCounts.get(plane)?.values() ?? []) {
      const entry = entries.get(counts.id);
      const before = this.#counts.get(counts.id);
      const [sum] = sumCounts(before ? [[before], [atRest(counts)]] : [[atRest(counts)]]);
      if (entry && sum) this.#counts.set(counts.id, withRoles(sum, entry));
    }
    this.#metrics = mergeSnapshots([this.#metrics, ...(this.#lastMetrics.get(plane) ?? []).map(onlyCounters)]);
    this.#lastCounts.delete(plane);
    this.#lastMetrics.delete(plane);
  }

  /** A flip resets the counts since the last flip. */
  flipped(id: string): void {
    for (const byId of [this.#counts, ...this.#lastCounts.values()]) {
      const counts = byId.get(id);
      if (counts) byId.set(id, { ...counts, failedSinceFlip: 0, waits: null });
    }
  }

  removed(id: string): void {
    this.#counts.delete(id);
    for (const byId of this.#lastCounts.values()) byId.delete(id);
    const label = labelText({ upstream: id });
    const families = this.#metrics.families.map((family) => ({
      ...family,
      samples: family.samples.filter(({ labels }) => !labels.startsWith(label)),
    }));
    this.#metrics = { families };
  }

  /** @param entries the current ones, by id: they decide which targets are active */
  counts(entries: ReadonlyMap<string, UpstreamEntry>, id?: string): readonly UpstreamCounts[] {
    return [...this.#counts.values()].flatMap((counts) => {
      const entry = entries.get(counts.id);
      return entry && (id === undefined || id === counts.id) ? [withRoles(counts, entry)] : [];
    });
  }

  get metrics(): MetricsSnapshot {
    return this.#metrics;
  }
}

function atRest(counts: UpstreamCounts): UpstreamCounts {
  const targets = counts.targets.map((target) => ({ ...target, inFlight: 0, streams: 0, suspended: false }));
  return { ...counts, targets, held: null };
}

function withRoles(counts: UpstreamCounts, entry: UpstreamEntry): UpstreamCounts {
  const targets = counts.targets.map((target) => ({ ...target, role: roleOf(target, entry) }));
  const retired = targets.filter(({ role }) => role === 'retired').toSorted((a, b) => b.lastAt - a.lastAt);
  return {
    ...counts,
    targets: [...targets.filter(({ role }) => role !== 'retired'), ...retired.slice(0, RETIRED_KEPT)],
  };
}

function roleOf({ id, address, port }: TargetCounts, { targets, canary }: UpstreamEntry): TargetRole {
  const isAmong = (all: UpstreamEntry['targets']): boolean =>
    all.some((one) => one.id === id && one.address === address && one.port === port);
  if (isAmong(targets)) return 'active';
  return canary && isAmong(canary.targets) ? 'canary' : 'retired';
}

/** Drops gauges: the state that they describe has gone with the process. */
function onlyCounters({ families }: MetricsSnapshot): MetricsSnapshot {
  return { families: families.filter(({ type }: Family) => type !== 'gauge') };
}
