/** Streams images between two engines of this host, without temporary files of our own. */
import { Readable } from 'node:stream';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { StepLog } from '../../deployment/ports.ts';
import type { Engine } from '../../lib/engine.ts';
import type { Contents } from './archive.ts';
import { readStoredImage, type StoredImage } from './layer-store.ts';
import { lookAtImages, sharedLayers } from './shared-layers.ts';
import { usesContainerdStore } from './image-content.ts';
import { nameParts } from './image-name.ts';
import { beginLoad, load, type Load, TRANSFER_TIMEOUT_MS } from './load.ts';
import { damaged } from './tar-split.ts';

export interface Transfer {
  /** Number of layers, and how many of them the other engine lacked. Null if the image was handed over whole. */
  readonly layers: { readonly all: number; readonly sent: number } | null;
  /** Bytes of layers, or of the whole archive. */
  readonly sentBytes: number;
}

interface Between {
  readonly from: Engine;
  readonly to: Engine;
  readonly reference: string;
  /** The image's name in `to`. */
  readonly name: string;
  readonly signal: AbortSignal;
}

interface TransferOptions {
  /** A name other than `reference`, which may then be an id. */
  readonly as?: string;
  readonly log?: StepLog;
  /** Images of `to` that may start with the same layers: a known common prefix saves a first attempt to find it. */
  readonly alike?: readonly string[];
  /** A load of `to` that was begun under the same name. Absent: starts one. */
  readonly load?: Load;
}

/**
 * Copies the image `reference` with its name. Sends only the layers that `to` lacks if the store of `from` is readable,
 * else the whole image. The image keeps its id, except in containerd's image store, which has its own ids.
 * @throws OrkestrError ORK_IMAGE_DAMAGED, ORK_DISK_FULL, ORK_SANDBOX, ORK_CANCELLED, the engine's codes
 */
export async function transferImage(
  from: Engine,
  to: Engine,
  reference: string,
  signal: AbortSignal,
  { as: name = reference, log, alike = [], load: begun }: TransferOptions = {},
): Promise<Transfer> {
  const between = { from, to, reference, name, signal };
  try {
    const [stored, others] = await Promise.all([readStoredImage(from, reference), lookAtImages(to, alike)]);
    if (stored !== null) {
      const format = (await usesContainerdStore(to, others[0])) ? 'oci' : 'docker';
      const shared = sharedLayers(diffIdsOf(stored), others);
      return await sendLayers(stored, format, { shared, begun }, between);
    }
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
 * First sends the layers that the engine surely lacks; if unknown, none in the docker format and all in OCI's. If it
 * lacks more, it names the first missing layer and gets those from there on, or reports only that, and gets all.
 */
async function sendLayers(
  image: StoredImage,
  format: Contents['format'],
  { shared, begun }: { readonly shared: number | null; readonly begun: Load | undefined },
  between: Between,
): Promise<Transfer> {
  const all = image.layers.length;
  const diffIds = diffIdsOf(image);
  for (let first = shared ?? (format === 'docker' ? all : 0); ;) {
    const contents = { reference: between.name, firstLayer: first, format };
    const { missing, sentBytes } = await sendFrom(image, contents, begun, between);
    const lacks = missing ?? (format === 'oci' && !(await isWhole(diffIds, between)) ? 0 : null);
    if (lacks === null) {
      if (format === 'docker') await checkId(image.id, between);
      return { layers: { all, sent: all - first }, sentBytes };
    }
    if (first === 0) throw new Error('the engine misses a layer though it got them all');
    // If it then lacks a lower layer still, one was removed in between: send all.
    first = lacks < first ? lacks : 0;
  }
}

const diffIdsOf = ({ layers }: StoredImage): string[] => layers.map(({ diffId }) => diffId);

async function sendFrom(
  image: StoredImage,
  contents: Contents,
  begun: Load | undefined,
  { to, name, signal }: Between,
): Promise<{ readonly missing: number | null; readonly sentBytes: number }> {
  // A load that is over has been tried already, or its engine has stopped.
  const load = begun?.isOver() === false ? begun : beginLoad(to, name, signal);
  const { archive, loaded } = load;
  archive.put(image, contents);
  try {
    const { missing } = await loaded;
    return { missing, sentBytes: archive.sentBytes() };
  } catch (error) {
    // The archive's own failure says more than that of the engine, whose input ended early.
    const failure = archive.failure();
    throw failure instanceof OrkestrError ? failure : error;
  } finally {
    load.drop(); // nothing is left to read, or no one reads it
  }
}

async function checkId(wanted: string, { to, name }: Between): Promise<void> {
  const { Id: id } = await to.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect());
  if (id !== wanted) throw damaged(`${wanted} arrived as ${id}`);
}

/** containerd's store accepts an image whose lower layers it has under other digests, but then lists no layers. */
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
    // An unnamed image may have another id in `to`.
    await to.call(`name image ${name}`, (docker) => docker.getImage(loaded ?? reference).tag({ repo, tag }));
  }
  return { layers: null, sentBytes };
}
