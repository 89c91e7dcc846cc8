/** Time that a test can control. */
export interface Clock {
  /** Wall clock, for display only. */
  now(): Date;
  /** Monotonic, ms: for durations. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => new Date(), monotonic: () => performance.now() };
