/** How long requests waited in a hold. Plain numbers, so that those of several processes can be added up. */
import { z } from 'zod';

/** Eight to each doubling, from 1 ms on: a p50 read from them is off by 4.5 % at most. */
const BUCKETS_PER_DOUBLING = 8;

export const WaitCounts = z.object({
  /** That went on, in the end. */
  requests: z.int(),
  /** That found no room, or waited too long. */
  refused: z.int(),
  maxMs: z.number(),
  /** Requests by the bucket of their wait; the last one that is there may be followed by any number of zeros. */
  buckets: z.array(z.int()),
});
export type WaitCounts = z.infer<typeof WaitCounts>;

/** A new count, to be changed by {@link addWait}. */
export const noWaits = (): WaitCounts => ({ requests: 0, refused: 0, maxMs: 0, buckets: [] });

/** Counts one wait that ended well. */
export function addWait(counts: WaitCounts, ms: number): void {
  const bucket = bucketOf(ms);
  while (counts.buckets.length <= bucket) counts.buckets.push(0);
  counts.buckets[bucket] = (counts.buckets[bucket] ?? 0) + 1;
  counts.requests += 1;
  counts.maxMs = Math.max(counts.maxMs, ms);
}

/** The waits of all processes that serve, as one. */
export function sumWaits(all: readonly WaitCounts[]): WaitCounts {
  const buckets = Array.from({ length: Math.max(0, ...all.map((one) => one.buckets.length)) }, (_, index) =>
    all.reduce((total, one) => total + (one.buckets[index] ?? 0), 0),
  );
  return {
    requests: all.reduce((total, { requests }) => total + requests, 0),
    refused: all.reduce((total, { refused }) => total + refused, 0),
    maxMs: Math.max(0, ...all.map(({ maxMs }) => maxMs)),
    buckets,
  };
}

/** The median, ms; 0 when nothing waited. */
export function medianWait({ requests, maxMs, buckets }: WaitCounts): number {
  let before = 0;
  for (const [bucket, count] of buckets.entries()) {
    before += count;
    if (count > 0 && before * 2 >= requests) return Math.min(maxMs, upperMs(bucket));
  }
  return 0;
}

function bucketOf(ms: number): number {
  return ms <= 1 ? 0 : Math.ceil(Math.log2(ms) * BUCKETS_PER_DOUBLING);
}

function upperMs(bucket: number): number {
  return 2 ** (bucket / BUCKETS_PER_DOUBLING);
}
