/** The part that one process has of an upstream's `maxConcurrent`, where several serve it. */
import { z } from 'zod';

export const Part = z.object({
  /** Of the upstream. */
  id: z.string(),
  /** Requests that may be in flight at once; 0: none. */
  part: z.int(),
});
export type Part = z.infer<typeof Part>;

/** What is made of it. */
export const RoomUse = z.object({
  id: z.string(),
  inFlight: z.int(),
  /** Requests refused for want of it since that was asked last. */
  refused: z.int(),
});
export type RoomUse = z.infer<typeof RoomUse>;
