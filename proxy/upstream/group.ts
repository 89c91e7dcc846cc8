/** Treats the copies of a deployment as one. */
import type { DrainAnswer } from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import type { DrainPlan, Target } from './target.ts';

/** Added to the cost of a target that refuses connections, so that it comes after all others. */
const REFUSING = Number.MAX_SAFE_INTEGER / 2;

/**
 * The target with the least in flight; one that refuses connections only when there is no other.
 * @param turn index to start from; among equals the first from there on is taken
 */
export function leastInFlight(
  targets: readonly Target[],
  refusing: Target | null,
  clock: Clock,
  turn: number,
): Target | null {
  if (targets.length <= 1) return targets[0] ?? null;
  const now = clock.monotonic();
  let best: Target | null = null;
  let least = Infinity;
  for (let index = 0; index < targets.length; index += 1) {
    const target = targets[(turn + index) % targets.length] as Target;
    const cost = target.inFlight + (target === refusing || target.isSuspended(now) ? REFUSING : 0);
    if (cost < least) {
      best = target;
      least = cost;
    }
  }
  return best;
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
