/** The pace that the body of a request must keep, whichever engine carries it: one that trickles would hold its app for ever. */

/** The average once the grace is over, bytes per second. */
const BYTES_PER_SECOND = 128;

/**
 * @param bytes of the body that came
 * @param ms since the request began
 * @param graceMs before which no body is too slow
 */
export function isTooSlow(bytes: number, ms: number, graceMs: number): boolean {
  return ms > graceMs && bytes < (ms / 1000) * BYTES_PER_SECOND;
}
