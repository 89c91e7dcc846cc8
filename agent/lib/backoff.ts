/** The wait before a retry: exponential with full jitter, so that many agents never retry in step. */

export interface BackoffLimits {
  /** Upper end of the first wait, ms. */
  readonly baseMs: number;
  /** Upper end of any wait, ms. */
  readonly capMs: number;
}

/**
 * The wait before attempt `attempt` (0 is the first retry), ms: uniform in [0, min(cap, base * 2^attempt)).
 * @param random returns a number in [0, 1), as Math.random does
 */
export function backoffMs(attempt: number, { baseMs, capMs }: BackoffLimits, random: () => number): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(Math.max(attempt, 0), 30));
  return random() * ceiling;
}
