/** What the proxy counts around a flip; part of the receipt of a cutover. */
import { z } from 'zod';
import { Timestamp } from './ids.ts';

/** Requests that one target has finished or failed since it started. */
export const TargetCount = z.object({ served: z.int(), failed: z.int() });
export type TargetCount = z.infer<typeof TargetCount>;

/** WebSockets, event streams and gRPC streams of a draining target. */
export const StreamCount = z.object({
  /** Open at the flip. */
  carried: z.int(),
  /** How many of them client or app ended before their deadline. */
  ended: z.int(),
  /** How many of them we closed at their deadline, as their protocol prescribes. */
  closed: z.int(),
});
export type StreamCount = z.infer<typeof StreamCount>;

/** Requests of one side of a cutover. Times are null without requests. Defaults are for receipts of older versions. */
export const SideCount = z.object({
  targetId: z.string(),
  requests: TargetCount,
  /** Responses of the app with status 500 and above. */
  errors: z.int().default(0),
  firstRequestAt: Timestamp.nullable().default(null),
  lastRequestAt: Timestamp.nullable().default(null),
});
export type SideCount = z.infer<typeof SideCount>;

/** What the proxy counted around a flip. */
export const FlipCounts = z.object({
  /** The target that served before; null for a first deployment. */
  previous: SideCount.extend({ inFlightAtFlip: z.int() }).nullable(),
  current: SideCount,
  /** How the old target emptied. `forced` counts plain requests cut at the deadline. Null: nothing to drain. */
  drain: z
    .object({
      ms: z.number(),
      forced: z.int(),
      streams: StreamCount.default({ carried: 0, ended: 0, closed: 0 }),
    })
    .nullable(),
  /** Requests that waited in a hold before the flip, ms. Null: there was no hold. */
  held: z
    .object({ requests: z.int(), refused: z.int(), p50Ms: z.number(), maxMs: z.number() })
    .nullable()
    .default(null),
  /** Requests of this upstream since the flip that the proxy answered 502, 503 or 504, or whose response broke off. */
  failed: z.int(),
});
export type FlipCounts = z.infer<typeof FlipCounts>;
