/** Leases of accepted jobs, renewed well before they expire while the hub listens. Losing one stops nothing here. */

export interface Leases {
  /** The hub granted or renewed a lease. */
  granted(leaseSeconds: number): void;
  /** Ids to renew now, or null if it is not time yet. */
  due(): readonly string[] | null;
}

/** Renew after a third of the shortest lease: two more tries fit in before it expires. */
const RENEW_AFTER = 1 / 3;
/** Maximum number of ids in one message (protocol/agent-link.ts). */
const MAX_IDS = 1000;
const FIRST_SECONDS = 15;

export function makeLeases(running: () => readonly string[], monotonic: () => number): Leases {
  let shortestMs = FIRST_SECONDS * 1000;
  let renewedAt = monotonic();
  return {
    granted(leaseSeconds) {
      shortestMs = Math.min(shortestMs, Math.max(leaseSeconds, 1) * 1000);
    },
    due() {
      if (monotonic() - renewedAt < shortestMs * RENEW_AFTER) return null;
      renewedAt = monotonic();
      const ids = running();
      return ids.length === 0 ? null : ids.slice(0, MAX_IDS);
    },
  };
}
