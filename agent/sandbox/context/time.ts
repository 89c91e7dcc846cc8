/** Modification times of files in a build context. */
import { createHash } from 'node:crypto';

/** The commit to build. */
export interface Revision {
  readonly commit: string;
  readonly committedAt: Date;
}

/**
 * Replaces the commit's time with that of a build starting at `now` (ms since the epoch), rounded up to a full second,
 * since images keep only seconds. So nothing that an earlier build wrote is newer.
 */
export const timedByBuild = ({ commit }: Revision, now: number): Revision => ({
  commit,
  committedAt: new Date(Math.ceil(now / 1000) * 1000),
});

/**
 * Nanoseconds since the epoch: the commit's second (0 without a commit), plus a hash of commit and `parts` as fraction.
 *
 * The engine considers a file unchanged since the last build if size and time are the same. Two commits can share a
 * second (an amended commit can keep its time), so with seconds alone the engine could build outdated files. An image
 * keeps seconds only: layers have no finer resolution.
 */
export function contextTime(revision: Revision | undefined, parts: readonly string[]): bigint {
  const digest = createHash('sha256')
    .update(JSON.stringify([revision?.commit, ...parts]))
    .digest();
  const second = BigInt(Math.floor((revision?.committedAt.getTime() ?? 0) / 1000));
  return second * 1_000_000_000n + (digest.readBigUInt64BE() % 1_000_000_000n);
}
