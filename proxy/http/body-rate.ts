/** The minimum rate of request bodies in all engines: a body that trickles would occupy its app for ever. */

/** Minimum average rate after the grace period, bytes per second. */
const BYTES_PER_SECOND = 128;

/**
 * @param bytes of the body received so far
 * @param ms since the request began
 * @param graceMs grace period in which no body is too slow
 */
export function isTooSlow(bytes: number, ms: number, graceMs: number): boolean {
  return ms > graceMs && bytes < (ms / 1000) * BYTES_PER_SECOND;
}
