/** One clock for all processes of the bench: CLOCK_MONOTONIC is the same in each, performance.now() is not. */

/** Milliseconds since the machine started. */
export const nowMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;
