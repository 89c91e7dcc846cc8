/**
 * An image as an archive for `docker load`, with the upper layers only, since an engine does not read layers that it
 * has. Engines with a graph driver take the format of `docker save`; containerd's image store keeps each layer under
 * its own digest and takes the OCI layout.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { StoredImage, StoredLayer } from './layer-store.ts';
import { LAYOUT_FILE, OciLayout } from './oci-layout.ts';
import { assembleTar, damaged, tarSize } from './tar-split.ts';

/** An archive that is already being read, and gets its image later. */
export interface Archive {
  readonly stream: Readable;
  /**
   * Packs `image` under `reference`, without the layers below `firstLayer`. Verifies the diff id of each layer it
   * sends.
   */
  put(image: StoredImage, contents: Contents): void;
  /** Bytes of layers sent so far. */
  sentBytes(): number;
  /** Why the archive ended early, once it has: its reader only sees that it did. */
  failure(): unknown;
}

export interface Contents {
  readonly reference: string;
  readonly firstLayer: number;
  readonly format: 'docker' | 'oci';
}

/** Its first bytes are available at once. */
export function openArchive(): Archive {
  const tar = pack();
  let sent = 0;
  let failure: unknown;
  const count = (bytes: number): void => void (sent += bytes);
  // Written before the image is known: an engine starts its unpacking program on the first bytes.
  tar.entry({ name: LAYOUT_FILE.name }, LAYOUT_FILE.text);
  return {
    stream: Readable.from(tar),
    put(image, contents) {
      fill(tar, image, contents, count).then(
        () => tar.finalize(),
        (error: Error) => {
          failure = error;
          tar.destroy(error); // raises the error in the stream's reader
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
  // The OCI layout lists the sizes of all layers, including those left out of the archive.
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

/** The files that precede the layers, and the names of the layers. */
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
 * The first missing layer, from an engine's error about a file that it did not find; 0 if the error does not name the
 * layer. Null for any other error.
 */
export function missingLayer(message: string): number | null {
  if (!/no such file or directory|not found/i.test(message)) return null;
  return Number(/layer-(\d+)\.tar/.exec(message)?.[1] ?? 0);
}
