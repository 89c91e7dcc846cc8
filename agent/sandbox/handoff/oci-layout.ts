/**
 * An image in the OCI layout (image specification: image-layout.md, manifest.md) with uncompressed layers: a layer's
 * digest is its diff id, and a layer that one image added to a content store need not be sent for the next.
 */
import { nameParts } from './image-name.ts';
import { registryOf } from '../../registry/login.ts';
import type { Layout } from './archive.ts';
import { digestOf } from './layer-store.ts';
import type { StoredImage } from './layer-store.ts';

const TYPE = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** The file that identifies this layout; other archives may contain it too. */
export const LAYOUT_FILE = { name: 'oci-layout', text: JSON.stringify({ imageLayoutVersion: '1.0.0' }) } as const;

/** All files but {@link LAYOUT_FILE}. */
export class OciLayout implements Layout {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly #layers: StoredImage['layers'];

  /** @param sizes sizes of the layers' tars, bytes */
  constructor({ layers, config }: StoredImage, sizes: readonly number[], reference: string) {
    this.#layers = layers;
    const manifest = json({
      schemaVersion: 2,
      mediaType: TYPE.manifest,
      config: describe(TYPE.config, config),
      layers: layers.map(({ diffId }, at): Descriptor => ({
        mediaType: TYPE.layer,
        digest: diffId,
        size: sizes[at] ?? 0,
      })),
    });
    const described = describe(TYPE.manifest, manifest);
    const index = json({
      schemaVersion: 2,
      mediaType: TYPE.index,
      manifests: [{ ...described, annotations: namesOf(reference) }],
    });
    this.files = new Map([
      [blobName(described.digest), manifest],
      [blobName(digestOf(config)), config],
      ['index.json', index],
    ]);
  }

  layerName(at: number): string {
    return blobName(this.#layers[at]?.diffId ?? '');
  }
}

/** Annotations that containerd (the fully qualified name) and other engines use to name the loaded image. */
function namesOf(reference: string): Readonly<Record<string, string>> {
  const { repository, tag } = nameParts(reference);
  const host = registryOf(reference);
  const path = repository.startsWith(`${host}/`)
    ? repository
    : `${host}/${repository.includes('/') ? '' : 'library/'}${repository}`;
  return { 'io.containerd.image.name': `${path}:${tag}`, 'org.opencontainers.image.ref.name': tag };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const describe = (mediaType: string, bytes: Buffer): Descriptor => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});
const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`;
