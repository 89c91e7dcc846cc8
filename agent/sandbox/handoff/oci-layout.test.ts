import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { StoredImage } from './layer-store.ts';
import { OciLayout } from './oci-layout.ts';

const digest = (text: string | Buffer): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const layer = (text: string) => ({ diffId: digest(text), madeBy: '', recordPath: '', filesPath: '' });
const image: StoredImage = {
  id: digest('{"os":"linux"}'),
  config: Buffer.from('{"os":"linux"}'),
  layers: [layer('base'), layer('app')],
};

function read(layout: OciLayout, name: string): { readonly bytes: Buffer; readonly value: Record<string, never> } {
  const bytes = layout.files.get(name);
  assert.ok(bytes, name);
  return { bytes, value: JSON.parse(bytes.toString('utf8')) as Record<string, never> };
}

test('index, manifest, config and layers refer to each other by correct digests and sizes', () => {
  const layout = new OciLayout(image, [10_240, 2048], 'orkestr/app:1');
  const [entry] = read(layout, 'index.json').value['manifests'] as unknown as { digest: string; size: number }[];
  assert.ok(entry);
  const manifest = read(layout, `blobs/${entry.digest.replace(':', '/')}`);
  assert.deepEqual([digest(manifest.bytes), manifest.bytes.length], [entry.digest, entry.size]);
  const { config, layers } = manifest.value as unknown as {
    config: { digest: string; size: number };
    layers: { digest: string; size: number }[];
  };
  assert.deepEqual(config.digest, image.id);
  assert.deepEqual(read(layout, `blobs/${config.digest.replace(':', '/')}`).bytes, image.config);
  assert.deepEqual(
    layers.map(({ digest: one, size }) => [one, size]),
    [
      [digest('base'), 10_240],
      [digest('app'), 2048],
    ],
  );
  assert.equal(layout.layerName(1), `blobs/${digest('app').replace(':', '/')}`);
});

test('the name is written out in full, as containerd requires', () => {
  for (const [reference, full] of [
    ['orkestr/app:1', 'docker.io/orkestr/app:1'],
    ['app', 'docker.io/library/app:latest'],
    ['registry.example.com:5000/team/app:2', 'registry.example.com:5000/team/app:2'],
    ['localhost/app:3', 'localhost/app:3'],
  ] as const) {
    const layout = new OciLayout(image, [1, 1], reference);
    const [{ annotations } = { annotations: {} }] = read(layout, 'index.json').value['manifests'] as unknown as {
      annotations: Record<string, string>;
    }[];
    assert.deepEqual(annotations, {
      'io.containerd.image.name': full,
      'org.opencontainers.image.ref.name': full.slice(full.lastIndexOf(':') + 1),
    });
  }
});
