/** The plane of this process: every call is a direct one. */
import type { Clock } from '../clock.ts';
import type { MetricsSnapshot } from '../observe/snapshot.ts';
import type { Plane } from '../plane.ts';
import type { ClientRates } from '../policy/client-rates.ts';
import type { StaticTerminator } from '../tls/static-terminator.ts';
import type { Planes } from './planes.ts';

interface Parts {
  readonly plane: Plane;
  readonly rates: ClientRates;
  readonly clock: Clock;
  /** Takes this process's metrics. */
  readonly snapshot: () => MetricsSnapshot;
  /** Null: this process does not terminate TLS. */
  readonly terminator: StaticTerminator | null;
}

/** Calls reject where the plane throws. */
export function localPlanes({ plane, rates, clock, snapshot, terminator }: Parts): Planes {
  return {
    put: async (entry) => plane.put(entry),
    amend: async (entry) => plane.amend(entry),
    remove: async (id) => {
      rates.forget(id);
      return plane.remove(id);
    },
    drain: (request, given) => plane.drain(request, given),
    hold: async (request) => plane.hold(request),
    resume: async (id) => plane.resume(id),
    watch: (upstreamId, targetId, listener) => plane.watch(upstreamId, targetId, listener),
    counts: async (id) => plane.counts(id),
    metrics: async () => [snapshot()],
    secure: async (change) => terminator?.update(change),
    exchangeRates: async (elsewhere) => rates.exchange(elsewhere, clock.monotonic()),
    shareConcurrency: async (shares) => plane.shareConcurrency(shares),
    lose: async (lost) => plane.lose(lost),
  };
}
