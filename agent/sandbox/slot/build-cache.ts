/** The build cache of a slot's engine: what is in it, and how it is pruned. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Engine } from '../../lib/engine.ts';

const PRUNE_TIMEOUT_MS = 5 * 60_000;
/** BuildKit releases a killed step within seconds. */
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

/** Made by COPY, ADD or WORKDIR, as described by Docker 20.10's BuildKit or by later ones (the command line). */
const isCopy = ({ Type, Description }: Record): boolean =>
  Type === 'regular' && /^fileop target$|^\[[^\]]*\] (?:COPY|ADD|WORKDIR) /.test(Description);

/** Removes the least recently used entries first (BuildKit's order) until `keepBytes` are left. */
export async function pruneCache(engine: Engine, keepBytes: number): Promise<void> {
  await post(engine, '/build/prune?', { all: '1', 'keep-storage': String(Math.floor(keepBytes)) });
}

/** Removes base images. The host supplies them again on demand. */
export async function pruneImages(engine: Engine): Promise<void> {
  await post(engine, '/images/prune?', { filters: { dangling: ['false'] } });
}

/** Waits until the engine has released what an aborted build wrote, for at most ten seconds or until `signal`. */
export async function untilUnused(engine: Engine, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < LET_GO_TRIES && !signal.aborted; tries += 1) {
    if (!(await records(engine)).some(({ InUse }) => InUse)) return;
    await delay(LET_GO_PAUSE_MS);
  }
}

/** Removes entries made since a moment (ms since the epoch), children before their parents. */
export const dropSince = (engine: Engine, since: number): Promise<void> => drop(engine, since, () => true);

/**
 * Removes the copied files among them that no other entry uses. A failed build leaves these with its own timestamps: a
 * later build of the same files would reuse them, and take another build's newer results in a cache mount for current.
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

/** A raw request, since dockerode's pruneBuilder passes no options on. */
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
