/** An image as the archive that `docker load` takes, with the upper layers only: an engine opens no layer that it has. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { StoredImage, StoredLayer } from './layer-store.ts';
import { assembleTar, damaged, tarSize } from './tar-split.ts';

export interface Archive {
  readonly stream: Readable;
  /** Bytes of layers that went out until now. */
  sentBytes(): number;
  /** Why the archive ended early, once it has: whoever read it only knows that it did. */
  failure(): unknown;
}

/**
 * The archive of `image` under `reference`, without the layers below `firstLayer`. Each layer is checked against its diff
 * id as it goes out.
 */
export function packImage(image: StoredImage, reference: string, firstLayer: number): Archive {
  const tar = pack();
  let sent = 0;
  let failure: unknown;
  const count = (bytes: number): void => void (sent += bytes);
  fill(tar, image, { reference, firstLayer, count }).then(
    () => tar.finalize(),
    (error: Error) => {
      failure = error;
      tar.destroy(error); // the reader of the stream gets it
    },
  );
  return { stream: Readable.from(tar), sentBytes: () => sent, failure: () => failure };
}

interface Contents {
  readonly reference: string;
  readonly firstLayer: number;
  readonly count: (bytes: number) => void;
}

async function fill(tar: Pack, image: StoredImage, { reference, firstLayer, count }: Contents): Promise<void> {
  const manifest = [
    { Config: 'config.json', RepoTags: [reference], Layers: image.layers.map((_, at) => layerName(at)) },
  ];
  await addFile(tar, 'manifest.json', Buffer.from(JSON.stringify(manifest)));
  await addFile(tar, 'config.json', image.config);
  for (const [at, layer] of image.layers.entries()) {
    if (at < firstLayer) continue;
    const entry = tar.entry({ name: layerName(at), size: await tarSize(layer) });
    await pipeline(Readable.from(checked(layer, count), { objectMode: false }), entry);
  }
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

const layerName = (at: number): string => `layer-${at}.tar`;

/**
 * The first layer that an engine missed, from its words about a file that it did not find; 0 when it does not say which. Null
 * when it has something else against the archive.
 */
export function missingLayer(message: string): number | null {
  if (!/no such file or directory|not found/i.test(message)) return null;
  return Number(/layer-(\d+)\.tar/.exec(message)?.[1] ?? 0);
}
