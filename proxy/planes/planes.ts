/**
 * All planes that serve, as one: the plane of this process, or those of the worker processes, and for a while that of the
 * process before this one (docs/adr/0011). The table and the admin API know nothing else of who serves.
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
   * A flip. No plane serves what was before when it resolves.
   * @returns what served before; null when nothing did, or the same still does
   */
  put(entry: UpstreamEntry): Promise<FlipAnswer['previous']>;
  /** The same active targets with another canary; nothing else changes. */
  amend(entry: UpstreamEntry): Promise<void>;
  /** What is in flight to it ends by itself, or by a drain. @returns the ids of its targets */
  remove(id: string): Promise<string[]>;
  /**
   * @param given up when it aborts: then the deadlines count no more, and what is in flight goes on
   * @throws OrkestrError ORK_CONFLICT for a target that serves
   */
  drain(request: DrainRequest, given: AbortSignal | null): Promise<DrainAnswer>;
  /** @throws OrkestrError ORK_NOT_FOUND */
  hold(request: HoldRequest): Promise<HoldAnswer>;
  /** @throws OrkestrError ORK_NOT_FOUND */
  resume(id: string): Promise<HoldAnswer>;
  /**
   * @param listener first gets what has happened since the target is active
   * @returns what ends it
   */
  watch(upstreamId: string, targetId: string, listener: TallyListener): () => void;
  /** Of all upstreams in the table, in its order; or of that one, which may have left it. */
  counts(id?: string): Promise<UpstreamCounts[]>;
  metrics(): Promise<MetricsSnapshot[]>;
  /** Counts what clients have asked of other planes. @returns what they have asked of this one since the last call */
  exchangeRates(elsewhere: readonly Taken[]): Promise<readonly Taken[]>;
  /**
   * How many requests of an upstream may be in flight at once, where other planes may have more of them.
   * @returns what is made of it now, of all upstreams with a limit
   */
  shareConcurrency(shares: readonly ConcurrencyShare[]): Promise<readonly ConcurrencyUse[]>;
  /** Whether routes are missing since the saved table could not be read: an unknown host is then no fault of the visitor. */
  lose(lost: boolean): Promise<void>;
  /** A change of certificates, challenges or ticket keys. */
  secure(change: TerminatorChange): Promise<void>;
}

/** All that a process has counted, told when it goes. */
export interface LastWords {
  readonly counts: readonly UpstreamCounts[];
  readonly metrics: readonly MetricsSnapshot[];
}

/** What a process that ends leaves to the one that goes on counting. */
export async function lastWordsOf(planes: Planes): Promise<LastWords> {
  return { counts: await planes.counts(), metrics: await planes.metrics() };
}
