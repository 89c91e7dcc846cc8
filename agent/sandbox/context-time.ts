/** The time that files of a build context have. */
import { createHash } from 'node:crypto';

/** Of the commit that is built. */
export interface Revision {
  readonly commit: string;
  readonly committedAt: Date;
}

/**
 * With the time of the build that begins `now` (ms since the epoch) in the place of the commit's: the first second that is
 * not over, since only seconds are left in an image. Nothing that an earlier build wrote is newer.
 */
export const timedByBuild = ({ commit }: Revision, now: number): Revision => ({
  commit,
  committedAt: new Date(Math.ceil(now / 1000) * 1000),
});

/**
 * Nanoseconds since the epoch: the second of the commit, or the first of all without one, and within it a moment that stands for what `parts` say.
 *
 * The engine takes a file for the one of the last build when size and time are the same. Two commits may be of one second
 * (an amended one keeps its time if it is told to), so the second alone would let it build what is not there any more. In
 * an image only the second is left: layers have no more.
 */
export function contextTime(revision: Revision | undefined, parts: readonly string[]): bigint {
  const digest = createHash('sha256')
    .update(JSON.stringify([revision?.commit, ...parts]))
    .digest();
  const second = BigInt(Math.floor((revision?.committedAt.getTime() ?? 0) / 1000));
  return second * 1_000_000_000n + (digest.readBigUInt64BE() % 1_000_000_000n);
}
