/** Time that a test can hold still. */
export interface Clock {
  /** Wall clock: only for showing. */
  now(): Date;
  /** Monotonic, ms: for durations. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => new Date(), monotonic: () => performance.now() };
