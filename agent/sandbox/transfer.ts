/** Images between two engines of this host, as a stream: never a temporary file of ours. */
import { Readable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { StepLog } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { type Contents, missingLayer, packImage } from './handoff/archive.ts';
import { readStoredImage, type StoredImage } from './handoff/layer-store.ts';
import { sharedLayers } from './handoff/shared-layers.ts';
import { usesContainerdStore } from './image-content.ts';
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

interface TransferOptions {
  /** Another name than `reference`, which may be an id then. */
  readonly as?: string;
  readonly log?: StepLog;
  /** Images of `to` that may begin with the same layers: what they share need not be asked for by a first try. */
  readonly alike?: readonly string[];
}

/**
 * Copies the image `reference` with its name: only the layers that `to` does not have, where the store of `from` can be read;
 * else whole. The image has the same id afterwards, but in containerd's image store, which has ids of its own.
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
    const [stored, isContent] = await Promise.all([readStoredImage(from, reference), usesContainerdStore(to)]);
    if (stored !== null) return await sendLayers(stored, isContent ? 'oci' : 'docker', between);
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
 * done then, and another one names the first that it misses, or says only that something is missing, and gets all of them.
 */
async function sendLayers(image: StoredImage, format: Contents['format'], between: Between): Promise<Transfer> {
  const all = image.layers.length;
  const diffIds = image.layers.map(({ diffId }) => diffId);
  const shared = await sharedLayers(between.to, diffIds, between.alike);
  for (let first = shared ?? (format === 'docker' ? all : 0); ;) {
    const { missing, sentBytes } = await sendFrom(
      image,
      { reference: between.name, firstLayer: first, format },
      between,
    );
    const lacks = missing ?? (format === 'oci' && !(await isWhole(diffIds, between)) ? 0 : null);
    if (lacks === null) {
      if (format === 'docker') await checkId(image.id, between);
      return { layers: { all, sent: all - first }, sentBytes };
    }
    if (first === 0) throw new Error('the engine misses a layer though it got them all');
    // Asked again when it misses another one: a layer below may have gone in between.
    first = lacks < first ? lacks : 0;
  }
}

async function sendFrom(
  image: StoredImage,
  contents: Contents,
  { to, name, signal }: Between,
): Promise<{ readonly missing: number | null; readonly sentBytes: number }> {
  const archive = packImage(image, contents);
  try {
    const { missing } = await load(to, archive.stream, name, signal);
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
  if (id !== wanted) throw damaged(`${wanted} arrived as ${id}`);
}

/** containerd's store takes an image whose lower layers it has unpacked, but not under these digests, and tells no layers of it then. */
async function isWhole(diffIds: readonly string[], { to, name }: Between): Promise<boolean> {
  const { RootFS } = await to.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect());
  const layers = RootFS.Layers ?? [];
  return layers.length === diffIds.length && layers.every((layer, at) => layer === diffIds[at]);
}

async function saveAndLoad({ from, to, reference, name, signal }: Between): Promise<Transfer> {
  let sentBytes = 0;
  async function* counted(tar: Readable): AsyncGenerator<Buffer> {
    for await (const piece of tar as AsyncIterable<Buffer>) {
      sentBytes += piece.length;
      yield piece;
    }
  }
  const loaded = await from.call(
    `save ${reference}`,
    async (docker) => {
      const tar = (await docker.getImage(reference).get()) as Readable;
      const archive = Readable.from(counted(tar), { objectMode: false });
      try {
        const { missing, id } = await load(to, archive, reference, signal);
        if (missing !== null) throw new Error('the engine misses a part of what the other one saved');
        return id;
      } finally {
        archive.destroy();
        tar.destroy();
      }
    },
    { timeoutMs: TRANSFER_TIMEOUT_MS, signal },
  );
  if (name !== reference) {
    const { repository: repo, tag } = nameParts(name);
    // One that has no name may have another id there.
    await to.call(`name image ${name}`, (docker) => docker.getImage(loaded ?? reference).tag({ repo, tag }));
  }
  return { layers: null, sentBytes };
}

interface Loaded {
  /** The layer that the engine misses; null: it has the image. */
  readonly missing: number | null;
  /** What the engine calls an image that came without a name. */
  readonly id: string | null;
}

/** Gives the archive to the engine. Any refusal but that it misses a layer is thrown. */
function load(to: Engine, archive: Readable, name: string, signal: AbortSignal): Promise<Loaded> {
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
