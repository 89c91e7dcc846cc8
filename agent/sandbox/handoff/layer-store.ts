/**
 * The images of an engine with the overlay2 graph driver, read from its own folder (moby layer/filestore.go,
 * image/fs.go): the config under its id, and each layer under its chain id, with the folder of its files.
 */
import { createHash } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { type Engine, orNull } from '../../lib/engine.ts';
import type { SplitTar } from './tar-split.ts';

const DRIVER = 'overlay2';
/** The upper layer's folder reveals the data root. `info` would report it too, but runs programs for that. */
const Inspected = z.object({
  Id: z.string(),
  GraphDriver: z.object({ Name: z.literal(DRIVER), Data: z.object({ UpperDir: z.string().endsWith('/diff') }) }),
});

/** OCI image specification, config.md. */
const Config = z.object({
  rootfs: z.object({ diff_ids: z.array(z.string().regex(/^sha256:[0-9a-f]{64}$/)) }),
  history: z.array(z.object({ created_by: z.string().optional(), empty_layer: z.boolean().optional() })).default([]),
});

export interface StoredLayer extends SplitTar {
  /** Digest of its tar. */
  readonly diffId: string;
  /** The command that made it, as recorded by the builder; empty if unrecorded. */
  readonly madeBy: string;
}

export interface StoredImage {
  readonly id: string;
  /** Its exact bytes: their digest is the id. */
  readonly config: Buffer;
  /** From the base up. */
  readonly layers: readonly StoredLayer[];
}

/**
 * An image of a local engine, read from its disk. Null if the engine does not store it in this form: another graph
 * driver, containerd's image store, an engine whose folder is not visible from here.
 */
export async function readStoredImage(engine: Engine, reference: string): Promise<StoredImage | null> {
  const image = await orNull(
    engine.call(`inspect image ${reference}`, (docker) => docker.getImage(reference).inspect()),
  );
  const { data: found } = Inspected.safeParse(image);
  if (found === undefined) return null;
  // ROOT/overlay2/ID/diff
  const root = resolve(found.GraphDriver.Data.UpperDir, '../../..');
  try {
    const config = await readFile(join(root, 'image', DRIVER, 'imagedb/content/sha256', hexOf(found.Id)));
    if (digestOf(config) !== found.Id) return null;
    const { rootfs, history } = Config.parse(JSON.parse(config.toString('utf8')));
    const chain = chainIds(rootfs.diff_ids);
    const makers = history.filter((one) => one.empty_layer !== true);
    const layers = await Promise.all(
      rootfs.diff_ids.map(async (diffId, at) => ({
        ...(await readLayer(root, chain[at] ?? '')),
        diffId,
        madeBy: makers[at]?.created_by ?? '',
      })),
    );
    return { id: found.Id, config, layers };
  } catch {
    return null; // whatever the reason: the engine itself can still export the image
  }
}

async function readLayer(root: string, chainId: string): Promise<SplitTar> {
  const folder = join(root, 'image/overlay2/layerdb/sha256', hexOf(chainId));
  const cacheId = (await readFile(join(folder, 'cache-id'), 'utf8')).trim();
  if (!/^[\w-]+$/.test(cacheId)) throw new Error('not the name of a folder');
  const layer = {
    recordPath: join(folder, 'tar-split.json.gz'),
    filesPath: join(root, 'overlay2', cacheId, 'diff'),
  };
  await Promise.all([access(layer.recordPath), access(layer.filesPath)]);
  return layer;
}

/** Id of each layer together with all layers below it. Source: OCI image specification, config.md, "Layer ChainID". */
function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(Buffer.from(`${below} ${diffId}`)));
  }
  return chain;
}

export const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const hexOf = (digest: string): string => digest.slice('sha256:'.length);
