/** Images between two engines of this host, as a stream: never a temporary file of ours. */
import { Readable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { StepLog } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { missingLayer, packImage } from './handoff/archive.ts';
import { readStoredImage, type StoredImage } from './handoff/layer-store.ts';
import { sharedLayers } from './handoff/shared-layers.ts';
import { nameParts } from './image-name.ts';
import { damaged } from './handoff/tar-split.ts';

/** A large image on a slow disk. */
const TRANSFER_TIMEOUT_MS = 15 * 60_000;

export interface Transfer {
  /** Layers of the image, and how many of them the other engine had not. Null where it was handed over whole. */
  readonly layers: { readonly all: number; readonly sent: number } | null;
  /** Bytes of layers, or of the whole archive. */
  readonly sentBytes: number;
}

interface Between {
  readonly from: Engine;
  readonly to: Engine;
  readonly reference: string;
  /** What it is called there. */
  readonly name: string;
  readonly signal: AbortSignal;
  readonly alike: readonly string[];
}

export interface TransferOptions {
  /** Another name than `reference`, which may be an id then. */
  readonly as?: string;
  readonly log?: StepLog;
  /** Images of `to` that may begin with the same layers: what they share need not be asked for by a first try. */
  readonly alike?: readonly string[];
}

/**
 * Copies the image `reference` with its name: only the layers that `to` does not have, where the store of `from` can be read;
 * else whole. The image has the same id afterwards.
 * @throws OrkestrError ORK_IMAGE_DAMAGED, ORK_DISK_FULL, ORK_SANDBOX, ORK_CANCELLED, the engine's codes
 */
export async function transferImage(
  from: Engine,
  to: Engine,
  reference: string,
  signal: AbortSignal,
  { as: name = reference, log, alike = [] }: TransferOptions = {},
): Promise<Transfer> {
  const between = { from, to, reference, name, signal, alike };
  try {
    const stored = await readStoredImage(from, reference);
    if (stored !== null) return await sendLayers(stored, between);
    log?.line('The layers cannot be read one by one here, so the whole image is handed over');
    return await saveAndLoad(between);
  } catch (error) {
    if (error instanceof OrkestrError) throw error;
    throw new OrkestrError('ORK_SANDBOX', `The image ${reference} could not be handed over between the engines.`, {
      evidence: [error instanceof Error ? error.message : String(error)],
      cause: error,
    });
  }
}

/**
 * First with what the engine has not for sure; where that is not known without any layer. An engine that has all others is
 * done then, and another one names the first that it misses, or says only that something is missing (containerd's image store
 * wants every layer) and gets all of them.
 */
async function sendLayers(image: StoredImage, between: Between): Promise<Transfer> {
  const all = image.layers.length;
  const diffIds = image.layers.map(({ diffId }) => diffId);
  for (let first = (await sharedLayers(between.to, diffIds, between.alike)) ?? all; ;) {
    const { missing, sentBytes } = await sendFrom(image, first, between);
    if (missing === null) {
      await checkId(image.id, between);
      return { layers: { all, sent: all - first }, sentBytes };
    }
    if (first === 0) throw new Error('the engine misses a layer though it got them all');
    // Asked again when it misses another one: a layer below may have gone in between.
    first = missing < first ? missing : 0;
  }
}

async function sendFrom(
  image: StoredImage,
  firstLayer: number,
  { to, name, signal }: Between,
): Promise<{ readonly missing: number | null; readonly sentBytes: number }> {
  const archive = packImage(image, name, firstLayer);
  try {
    const missing = await load(to, archive.stream, name, signal);
    return { missing, sentBytes: archive.sentBytes() };
  } catch (error) {
    // What ended the archive says more than the engine that could not read on.
    const failure = archive.failure();
    throw failure instanceof OrkestrError ? failure : error;
  } finally {
    archive.stream.destroy(); // nothing more to read, or nobody to read it
  }
}

async function checkId(wanted: string, { to, name }: Between): Promise<void> {
  const { Id: id } = await to.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect());
  // Engines with containerd's image store name an image by its manifest; its layers were checked as they went out.
  if (id !== wanted && (await usesGraphDriver(to))) throw damaged(`${wanted} arrived as ${id}`);
}

async function usesGraphDriver(engine: Engine): Promise<boolean> {
  const { DriverStatus: status } = await engine.call(
    'ask for its store',
    (docker) => docker.info() as Promise<{ DriverStatus?: readonly (readonly string[])[] | null }>,
  );
  return !(status ?? []).flat().some((word) => word.startsWith('io.containerd.snapshotter'));
}

async function saveAndLoad({ from, to, reference, name, signal }: Between): Promise<Transfer> {
  let sentBytes = 0;
  async function* counted(tar: Readable): AsyncGenerator<Buffer> {
    for await (const piece of tar as AsyncIterable<Buffer>) {
      sentBytes += piece.length;
      yield piece;
    }
  }
  await from.call(
    `save ${reference}`,
    async (docker) => {
      const tar = (await docker.getImage(reference).get()) as Readable;
      const archive = Readable.from(counted(tar), { objectMode: false });
      try {
        const missing = await load(to, archive, reference, signal);
        if (missing !== null) throw new Error('the engine misses a part of what the other one saved');
      } finally {
        archive.destroy();
        tar.destroy();
      }
    },
    { timeoutMs: TRANSFER_TIMEOUT_MS, signal },
  );
  if (name !== reference) {
    const { repository: repo, tag } = nameParts(name);
    await to.call(`name image ${name}`, (docker) => docker.getImage(reference).tag({ repo, tag }));
  }
  return { layers: null, sentBytes };
}

/** Gives the archive to the engine. Answers null, or the layer that it misses. Any other refusal is thrown. */
function load(to: Engine, archive: Readable, name: string, signal: AbortSignal): Promise<number | null> {
  return to.call(
    `load ${name}`,
    async (docker, abortSignal) => {
      const { error } = await readAnswer(await docker.loadImage(archive, { abortSignal }));
      if (error === null) return null;
      const missing = missingLayer(error);
      if (missing === null) throw new Error(error);
      return missing;
    },
    { timeoutMs: TRANSFER_TIMEOUT_MS, signal },
  );
}
