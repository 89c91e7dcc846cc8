/** How long requests waited in a hold. Plain numbers, so that the counts of several processes can be summed. */
import { z } from 'zod';

/** Buckets per doubling of the wait, from 1 ms on: the median read from them is off by at most 4.5 %. */
const BUCKETS_PER_DOUBLING = 8;

export const WaitCounts = z.object({
  /** Requests that went on after their wait. */
  requests: z.int(),
  /** Requests that found no room or waited too long. */
  refused: z.int(),
  maxMs: z.number(),
  /** Number of requests per wait bucket. Trailing zeros may be missing. */
  buckets: z.array(z.int()),
});
export type WaitCounts = z.infer<typeof WaitCounts>;

/** A new count, for {@link addWait} to change. */
export const noWaits = (): WaitCounts => ({ requests: 0, refused: 0, maxMs: 0, buckets: [] });

/** Counts the wait of a request that went on. */
export function addWait(counts: WaitCounts, ms: number): void {
  const bucket = bucketOf(ms);
  while (counts.buckets.length <= bucket) counts.buckets.push(0);
  counts.buckets[bucket] = (counts.buckets[bucket] ?? 0) + 1;
  counts.requests += 1;
  counts.maxMs = Math.max(counts.maxMs, ms);
}

/** Sums the waits of all processes that serve. */
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
