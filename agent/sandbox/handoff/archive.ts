/**
 * An image as the archive that `docker load` takes, with the upper layers only: an engine opens no layer that it has. Engines
 * with a graph driver take the format of `docker save`; containerd's image store keeps each layer under its own digest, and
 * takes the layout of OCI.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { StoredImage, StoredLayer } from './layer-store.ts';
import { LAYOUT_FILE, OciLayout } from './oci-layout.ts';
import { assembleTar, damaged, tarSize } from './tar-split.ts';

/** An archive that its reader has begun with and that gets its image later. */
export interface Archive {
  readonly stream: Readable;
  /**
   * Packs `image` under `reference`, without the layers below `firstLayer`. Each layer is checked against its diff id as it
   * goes out.
   */
  put(image: StoredImage, contents: Contents): void;
  /** Bytes of layers that went out until now. */
  sentBytes(): number;
  /** Why the archive ended early, once it has: whoever read it only knows that it did. */
  failure(): unknown;
}

export interface Contents {
  readonly reference: string;
  readonly firstLayer: number;
  readonly format: 'docker' | 'oci';
}

/** Its first bytes are there at once. */
export function openArchive(): Archive {
  const tar = pack();
  let sent = 0;
  let failure: unknown;
  const count = (bytes: number): void => void (sent += bytes);
  // Known before the image is. An engine starts the program that unpacks when it has seen the first bytes.
  tar.entry({ name: LAYOUT_FILE.name }, LAYOUT_FILE.text);
  return {
    stream: Readable.from(tar),
    put(image, contents) {
      fill(tar, image, contents, count).then(
        () => tar.finalize(),
        (error: Error) => {
          failure = error;
          tar.destroy(error); // the reader of the stream gets it
        },
      );
    },
    sentBytes: () => sent,
    failure: () => failure,
  };
}

async function fill(
  tar: Pack,
  image: StoredImage,
  { reference, firstLayer, format }: Contents,
  count: (bytes: number) => void,
): Promise<void> {
  // The layout of OCI names the sizes of all layers, also of those that are not in the archive.
  const isNamed = (at: number): boolean => at >= firstLayer || format === 'oci';
  const sizes = await Promise.all(image.layers.map(async (layer, at) => (isNamed(at) ? tarSize(layer) : 0)));
  const layout = format === 'oci' ? new OciLayout(image, sizes, reference) : dockerLayout(image, reference);
  for (const [name, content] of layout.files) await addFile(tar, name, content);
  for (const [at, layer] of image.layers.entries()) {
    if (at < firstLayer) continue;
    const entry = tar.entry({ name: layout.layerName(at), size: sizes[at] ?? 0 });
    await pipeline(Readable.from(checked(layer, count), { objectMode: false }), entry);
  }
}

/** Files that stand before the layers, and what the layers are called. */
export interface Layout {
  readonly files: ReadonlyMap<string, Buffer>;
  layerName(at: number): string;
}

/** Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format". */
function dockerLayout({ layers, config }: StoredImage, reference: string): Layout {
  const layerName = (at: number): string => `layer-${at}.tar`;
  const names = layers.map((_, at) => layerName(at));
  const manifest = [{ Config: 'config.json', RepoTags: [reference], Layers: names }];
  return {
    files: new Map([
      ['manifest.json', Buffer.from(JSON.stringify(manifest))],
      ['config.json', config],
    ]),
    layerName,
  };
}

async function* checked(layer: StoredLayer, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const piece of assembleTar(layer)) {
    hash.update(piece);
    count(piece.length);
    yield piece;
  }
  const digest = `sha256:${hash.digest('hex')}`;
  if (digest !== layer.diffId) throw damaged(`layer ${layer.diffId} has the digest ${digest}`);
}

function addFile(tar: Pack, name: string, content: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ name }, content, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * The first layer that an engine missed, from its words about a file that it did not find; 0 when it does not say which. Null
 * when it has something else against the archive.
 */
export function missingLayer(message: string): number | null {
  if (!/no such file or directory|not found/i.test(message)) return null;
  return Number(/layer-(\d+)\.tar/.exec(message)?.[1] ?? 0);
}
