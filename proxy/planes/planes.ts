/**
 * All planes that serve, as one: the plane of this process or those of its workers and, for a while, that of the
 * previous process (docs/adr/0011). The table and the admin API do not know who serves.
 */
import type {
  DrainAnswer,
  DrainRequest,
  FlipAnswer,
  HoldAnswer,
  HoldRequest,
  UpstreamEntry,
} from '../../protocol/proxy-admin.ts';
import type { MetricsSnapshot } from '../observe/snapshot.ts';
import type { Taken } from '../policy/client-rates.ts';
import type { TerminatorChange } from '../tls/state.ts';
import type { UpstreamCounts } from '../upstream/counts.ts';
import type { ConcurrencyShare, ConcurrencyUse } from '../upstream/concurrency.ts';
import type { TallyListener } from '../upstream/tally.ts';

export interface Planes {
  /**
   * A flip. Once it resolves, no plane serves the old entry any more.
   * @returns what served before; null when nothing did, or when the same target still serves
   */
  put(entry: UpstreamEntry): Promise<FlipAnswer['previous']>;
  /** Keeps the active targets and changes the canary, the routes or the settings. */
  amend(entry: UpstreamEntry): Promise<void>;
  /** Work in flight ends by itself or by a drain. @returns the ids of the upstream's targets */
  remove(id: string): Promise<string[]>;
  /**
   * @param given stops waiting when it aborts: the deadlines no longer apply, and work in flight goes on
   * @throws OrkestrError ORK_CONFLICT for a target that serves
   */
  drain(request: DrainRequest, given: AbortSignal | null): Promise<DrainAnswer>;
  /** @throws OrkestrError ORK_NOT_FOUND */
  hold(request: HoldRequest): Promise<HoldAnswer>;
  /** @throws OrkestrError ORK_NOT_FOUND */
  resume(id: string): Promise<HoldAnswer>;
  /**
   * @param listener is first called with the counts since the target became active
   * @returns ends the watch
   */
  watch(upstreamId: string, targetId: string, listener: TallyListener): () => void;
  /** Counts of all upstreams in the table, in its order; or of one, which may have left the table. */
  counts(id?: string): Promise<UpstreamCounts[]>;
  metrics(): Promise<MetricsSnapshot[]>;
  /** Counts requests that clients have made to other planes. @returns those made to this one since the last call */
  exchangeRates(elsewhere: readonly Taken[]): Promise<readonly Taken[]>;
  /**
   * Sets how many requests of an upstream may be in flight here at once; other planes have the other shares.
   * @returns the use of every upstream with such a limit
   */
  shareConcurrency(shares: readonly ConcurrencyShare[]): Promise<readonly ConcurrencyUse[]>;
  /** Whether routes are missing because the table is unreadable: then an unknown host is not the visitor's fault. */
  lose(lost: boolean): Promise<void>;
  /** A change of certificates, challenges or ticket keys. */
  secure(change: TerminatorChange): Promise<void>;
}

/** Everything that a process has counted, sent when it exits. */
export interface LastWords {
  readonly counts: readonly UpstreamCounts[];
  readonly metrics: readonly MetricsSnapshot[];
}

/** The last counts of a process that ends, for the one that goes on counting. */
export async function lastWordsOf(planes: Planes): Promise<LastWords> {
  return { counts: await planes.counts(), metrics: await planes.metrics() };
}
