/** The copies of a deployment as one. */
import type { DrainAnswer } from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import type { DrainPlan, Target } from './target.ts';

/** Those that refuse connections come after all others, whatever they have in flight. */
const REFUSING = Number.MAX_SAFE_INTEGER / 2;

/** The one with the least in flight; those that refuse connections only when there is no other. */
export function leastInFlight(targets: readonly Target[], refusing: Target | null, clock: Clock): Target | null {
  const first = targets[0];
  if (first === undefined || targets.length === 1) return first ?? null;
  const now = clock.monotonic();
  const cost = (target: Target): number =>
    target.inFlight + (target === refusing || target.isSuspended(now) ? REFUSING : 0);
  return targets.reduce((best, target) => (cost(target) < cost(best) ? target : best), first);
}

/** An id may stand for several retired targets: one per copy, and per address that a container had. */
export async function drainAll(
  targets: readonly Target[],
  plan: DrainPlan,
  given: AbortSignal | null,
): Promise<DrainAnswer> {
  const drained = await Promise.all(targets.map((target) => target.drain(plan, given)));
  const sum = (count: (one: (typeof drained)[number]) => number): number =>
    drained.reduce((total, one) => total + count(one), 0);
  return {
    known: targets.length > 0,
    ms: Math.max(0, ...drained.map(({ ms }) => ms)),
    forced: sum(({ forced }) => forced),
    streams: {
      carried: sum(({ streams }) => streams.carried),
      ended: sum(({ streams }) => streams.ended),
      closed: sum(({ streams }) => streams.closed),
    },
    requests: {
      served: targets.reduce((total, target) => total + target.requests.served, 0),
      failed: targets.reduce((total, target) => total + target.requests.failed, 0),
    },
  };
}
