/**
 * Cleanup due after a slot's build, recorded in a file before the build begins: if the agent is killed, the build
 * leaves the same in the cache as a failed one, and the next build has to know.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../deployment/ports.ts';
import { makePrivateFolder, writeFileAtomic } from '../../lib/files.ts';

const FILE = 'behind.json';

/** A clock that lags by less is being slewed, not set back, ms. */
const SLEW_MS = 1000;

const UnfinishedBuild = z.object({
  /** Start of the build, ms since the epoch. If the agent is killed, a later step back of the clock goes unnoticed. */
  began: z.number(),
  /** It exceeded a size limit: nothing of it may stay in the cache. */
  oversized: z.boolean(),
});
type UnfinishedBuild = z.infer<typeof UnfinishedBuild>;

/**
 * Begins a build and returns a function for its start, ms since the epoch, by the clock as of the call. The engine
 * stamps cache entries by that clock: set back meanwhile, it would date the build's entries before its start.
 */
export function beginBuild(clock: Pick<Clock, 'now' | 'monotonic'>): () => number {
  const [began, start] = [clock.now(), clock.monotonic()];
  return () => {
    const byNow = clock.now() - (clock.monotonic() - start);
    return byNow < began - SLEW_MS ? Math.floor(byNow) : began;
  };
}

export interface UnfinishedBuildFile {
  /** Null if the last build succeeded, or all cleanup is done. */
  read(): UnfinishedBuild | null;
  write(build: UnfinishedBuild): void;
  clear(): void;
}

/** @param folder the slot's state folder */
export function openUnfinishedBuild(folder: string): UnfinishedBuildFile {
  const path = join(folder, FILE);
  return {
    read() {
      try {
        return UnfinishedBuild.parse(JSON.parse(readFileSync(path, 'utf8')));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        return { began: 0, oversized: false }; // unreadable: drop all copies
      }
    },
    write(build) {
      makePrivateFolder(folder);
      writeFileAtomic(path, JSON.stringify(build), 0o600);
    },
    clear: () => rmSync(path, { force: true }),
  };
}
