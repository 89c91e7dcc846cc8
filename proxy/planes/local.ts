/** The plane of this very process: every call is a direct one. */
import type { MetricsSnapshot } from '../observe/snapshot.ts';
import type { Plane } from '../plane.ts';
import type { StaticTerminator } from '../tls/static-terminator.ts';
import type { Planes } from './planes.ts';

/**
 * @param snapshot of this process's metrics
 * @param terminator null: this process speaks no TLS
 */
export function localPlanes(
  plane: Plane,
  snapshot: () => MetricsSnapshot,
  terminator: StaticTerminator | null,
): Planes {
  return {
    put: async (entry) => plane.put(entry),
    amend: async (entry) => plane.amend(entry),
    remove: async (id) => plane.remove(id),
    drain: (request, given) => plane.drain(request, given),
    hold: async (request) => plane.hold(request),
    resume: async (id) => plane.resume(id),
    watch: (upstreamId, targetId, listener) => plane.watch(upstreamId, targetId, listener),
    counts: async (id) => plane.counts(id),
    metrics: async () => [snapshot()],
    secure: async (change) => terminator?.update(change),
    lose: async (lost) => plane.lose(lost),
  };
}
