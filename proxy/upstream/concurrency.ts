/**
 * The share of an upstream's `maxConcurrent` that one of several serving processes has. The fields cross between
 * processes and, during an upgrade, between versions.
 */
import { z } from 'zod';

export const ConcurrencyShare = z.object({
  /** The upstream's id. */
  id: z.string(),
  /** Requests that may be in flight at once; 0: no request. */
  part: z.int(),
});
export type ConcurrencyShare = z.infer<typeof ConcurrencyShare>;

/** How a process uses its share. */
export const ConcurrencyUse = z.object({
  id: z.string(),
  inFlight: z.int(),
  /** Requests refused since the last report because the share was used up. */
  refused: z.int(),
});
export type ConcurrencyUse = z.infer<typeof ConcurrencyUse>;
