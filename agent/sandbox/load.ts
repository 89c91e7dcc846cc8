/** An image as an engine takes it in: a `docker load` that may begin before there is an image. */
import type { Readable } from 'node:stream';
import type { Engine } from '../lib/engine.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { type Archive, missingLayer, openArchive } from './handoff/archive.ts';

/** A large image on a slow disk. */
export const TRANSFER_TIMEOUT_MS = 15 * 60_000;

interface Loaded {
  /** The layer that the engine misses; null: it has the image. */
  readonly missing: number | null;
  /** What the engine calls an image that came without a name. */
  readonly id: string | null;
}

/** A load that has begun and waits for its image. */
export interface Load {
  readonly archive: Archive;
  readonly loaded: Promise<Loaded>;
  /** It has ended, for whatever reason. */
  isOver(): boolean;
  /** Gives it up, if it has not ended. */
  drop(): void;
}

/** A load that may begin at any time, or never. */
export interface EarlyLoad {
  /** Again is fine. */
  begin(): void;
  begun(): Load | undefined;
  drop(): void;
}

export function beginLoad(to: Engine, name: string, signal: AbortSignal): Load {
  const archive = openArchive();
  const dropped = new AbortController();
  let isOver = false;
  const loaded = load(to, archive.stream, name, AbortSignal.any([signal, dropped.signal])).finally(
    () => (isOver = true),
  );
  loaded.catch(() => undefined); // heard of by whoever gives it an image
  const drop = (): void => {
    // The end of what it reads is not the end of a request.
    dropped.abort();
    archive.stream.destroy();
  };
  return { archive, loaded, isOver: () => isOver, drop };
}

export function earlyLoad(to: Engine, name: string, signal: AbortSignal): EarlyLoad {
  let load: Load | undefined;
  return {
    begin: () => void (load ??= beginLoad(to, name, signal)),
    begun: () => load,
    drop: () => load?.drop(),
  };
}

/** Gives the archive to the engine. Any refusal but that it misses a layer is thrown. */
export function load(to: Engine, archive: Readable, name: string, signal: AbortSignal): Promise<Loaded> {
  return to.call(
    `load ${name}`,
    async (docker, abortSignal) => {
      let id: string | null = null;
      const { error } = await readAnswer(await docker.loadImage(archive, { abortSignal }), ({ stream = '' }) => {
        id ??= /^Loaded image ID: (sha256:[0-9a-f]{64})/.exec(stream)?.[1] ?? null;
      });
      if (error === null) return { missing: null, id };
      const missing = missingLayer(error);
      if (missing === null) throw new Error(error);
      return { missing, id };
    },
    { timeoutMs: TRANSFER_TIMEOUT_MS, signal },
  );
}
