/** The build cache of a slot's engine: what is in it, and how it is pruned. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Engine } from '../lib/engine.ts';

const PRUNE_TIMEOUT_MS = 5 * 60_000;
/** BuildKit lets go of a step that was killed within seconds. */
const LET_GO_TRIES = 40;
const LET_GO_PAUSE_MS = 250;

const Records = z.array(
  z.object({
    ID: z.string(),
    Type: z.string(),
    Description: z.string().default(''),
    InUse: z.boolean(),
    CreatedAt: z.coerce.date(),
  }),
);
type Record = z.infer<typeof Records>[number];

/** What COPY, ADD or WORKDIR made, as the BuildKit of Docker 20.10 calls it, and later ones (by the line). */
const isCopy = ({ Type, Description }: Record): boolean =>
  Type === 'regular' && /^fileop target$|^\[[^\]]*\] (?:COPY|ADD|WORKDIR) /.test(Description);

/** Least recently used first (BuildKit's order), down to `keepBytes` of cache. */
export async function pruneCache(engine: Engine, keepBytes: number): Promise<void> {
  await post(engine, '/build/prune?', { all: '1', 'keep-storage': String(Math.floor(keepBytes)) });
}

/** Base images: they come from the host again when they are needed. */
export async function pruneImages(engine: Engine): Promise<void> {
  await post(engine, '/images/prune?', { filters: { dangling: ['false'] } });
}

/** Waits, for ten seconds at most or until `signal`, until the engine has let go of what a build that was ended wrote. */
export async function untilUnused(engine: Engine, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < LET_GO_TRIES && !signal.aborted; tries += 1) {
    if (!(await records(engine)).some(({ InUse }) => InUse)) return;
    await delay(LET_GO_PAUSE_MS);
  }
}

/** Drops what was made since a moment (ms since the epoch): children before those they stand on. */
export const dropSince = (engine: Engine, since: number): Promise<void> => drop(engine, since, () => true);

/**
 * Drops of that what was copied and that nothing stands on. A build that failed leaves it, with files of its own time: one
 * that comes back to the same files would take them, and what another build has made in a cache since, for newer ones.
 */
export const dropCopiesSince = (engine: Engine, since: number): Promise<void> => drop(engine, since, isCopy);

async function drop(engine: Engine, since: number, isMeant: (record: Record) => boolean): Promise<void> {
  const all = await records(engine);
  const made = all.filter((record) => record.CreatedAt.getTime() >= since && isMeant(record));
  const newestFirst = made.toSorted((a, b) => b.CreatedAt.getTime() - a.CreatedAt.getTime());
  for (const { ID } of newestFirst) await post(engine, '/build/prune?', { all: '1', filters: { id: [ID] } });
}

async function records(engine: Engine): Promise<Record[]> {
  const { BuildCache } = (await engine.call('look at the build cache', (docker) => docker.df())) as {
    readonly BuildCache: unknown;
  };
  return Records.parse(BuildCache ?? []);
}

/** By hand: dockerode's pruneBuilder passes no options on. */
async function post(engine: Engine, path: string, options: object): Promise<void> {
  await engine.call(
    'prune the build cache',
    (docker, abortSignal) =>
      new Promise<void>((resolve, reject) => {
        const request = { path, method: 'POST', options, abortSignal, statusCodes: { 200: true, 500: 'server error' } };
        docker.modem.dial(request, (error: Error | null) => (error === null ? resolve() : reject(error)));
      }),
    { timeoutMs: PRUNE_TIMEOUT_MS },
  );
}
