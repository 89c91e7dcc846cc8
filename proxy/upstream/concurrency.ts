/**
 * The share that one process has of an upstream's `maxConcurrent`, where several serve it. The fields cross between
 * processes, and at an upgrade between versions.
 */
import { z } from 'zod';

export const ConcurrencyShare = z.object({
  /** Of the upstream. */
  id: z.string(),
  /** Requests that may be in flight at once; 0: none. */
  part: z.int(),
});
export type ConcurrencyShare = z.infer<typeof ConcurrencyShare>;

/** What is made of it. */
export const ConcurrencyUse = z.object({
  id: z.string(),
  inFlight: z.int(),
  /** Requests refused for want of it since that was asked last. */
  refused: z.int(),
});
export type ConcurrencyUse = z.infer<typeof ConcurrencyUse>;
