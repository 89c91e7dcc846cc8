import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { extract } from 'tar-stream';
import { openArchive } from './archive.ts';
import { digestOf, type StoredImage } from './layer-store.ts';

const config = Buffer.from('{"os":"linux"}');
const image: StoredImage = { id: digestOf(config), config, layers: [] };
const CONTENTS = { reference: 'orkestr/app:1', firstLayer: 0 } as const;

for (const format of ['docker', 'oci'] as const) {
  test(`an archive starts before the image exists and then contains all of it: ${format}`, async () => {
    const archive = openArchive();
    const reader = extract();
    archive.stream.pipe(reader);
    const names: string[] = [];
    reader.on('entry', ({ name }, content, next) => {
      names.push(name);
      content.resume().once('end', next);
    });
    await once(reader, 'entry', { signal: AbortSignal.timeout(5000) });
    assert.deepEqual(names, ['oci-layout']);
    archive.put(image, { ...CONTENTS, format });
    await once(reader, 'finish');
    const own =
      format === 'docker' ? ['manifest.json', 'config.json'] : [`blobs/${image.id.replace(':', '/')}`, 'index.json'];
    assert.deepEqual(
      own.filter((name) => !names.includes(name)),
      [],
    );
    assert.equal(archive.failure(), undefined);
  });
}
