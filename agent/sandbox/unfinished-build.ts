/**
 * What is to be done behind the build of a slot, in a file from before it begins: an agent that is killed during a build leaves the
 * same in the cache as a build that fails, and the next one has to know.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../deployment/ports.ts';
import { makePrivateFolder, writeFileAtomic } from '../lib/files.ts';

const FILE = 'behind.json';

/** A clock that is only brought right little by little is not set back, ms. */
const SLEW_MS = 1000;

const UnfinishedBuild = z.object({
  /** When the build began, ms since the epoch. Where its agent is killed, it is not known whether the clock was set back meanwhile. */
  began: z.number(),
  /** It broke a limit of size: nothing of it is to stay in the cache. */
  oversized: z.boolean(),
});
type UnfinishedBuild = z.infer<typeof UnfinishedBuild>;

/**
 * A build begins: the answer tells when that was, ms since the epoch, by the clock as it is then. The engine writes down by the clock
 * when it made a thing: where that was set back meanwhile, what the build has made since is older than its beginning was.
 */
export function beginBuild(clock: Pick<Clock, 'now' | 'monotonic'>): () => number {
  const [began, start] = [clock.now(), clock.monotonic()];
  return () => {
    const byNow = clock.now() - (clock.monotonic() - start);
    return byNow < began - SLEW_MS ? Math.floor(byNow) : began;
  };
}

interface UnfinishedBuildFile {
  /** Null: the last build went through, or all is done. */
  read(): UnfinishedBuild | null;
  write(build: UnfinishedBuild): void;
  clear(): void;
}

/** @param folder of the slot's state */
export function openUnfinishedBuild(folder: string): UnfinishedBuildFile {
  const path = join(folder, FILE);
  return {
    read() {
      try {
        return UnfinishedBuild.parse(JSON.parse(readFileSync(path, 'utf8')));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        return { began: 0, oversized: false }; // it says too little: all copies are made anew
      }
    },
    write(build) {
      makePrivateFolder(folder);
      writeFileAtomic(path, JSON.stringify(build), 0o600);
    },
    clear: () => rmSync(path, { force: true }),
  };
}
