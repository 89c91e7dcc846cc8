/** Loads an image into an engine: a `docker load` that may begin before the image exists. */
import type { Readable } from 'node:stream';
import type { Engine } from '../../lib/engine.ts';
import { readAnswer } from '../../lib/engine-answer.ts';
import { type Archive, missingLayer, openArchive } from './archive.ts';

/** Allows for a large image on a slow disk. */
export const TRANSFER_TIMEOUT_MS = 15 * 60_000;

interface Loaded {
  /** The layer that the engine lacks; null if it now has the image. */
  readonly missing: number | null;
  /** The engine's id of an image that has no name. */
  readonly id: string | null;
}

/** A load that has begun and waits for its image. */
export interface Load {
  readonly archive: Archive;
  readonly loaded: Promise<Loaded>;
  /** Whether it has ended, for whatever reason. */
  isOver(): boolean;
  /** Aborts the load unless it has ended. */
  drop(): void;
}

/** A load that may begin at any time, or never. */
export interface EarlyLoad {
  /** May be called repeatedly. */
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
  loaded.catch(() => undefined); // reported to whoever supplies the image
  const drop = (): void => {
    // Destroying the request body does not end the request.
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

/** Sends the archive to the engine. Throws any error except that a layer is missing. */
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
