import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { makeCanaries, spellingsOf } from './canaries.ts';
import { Search } from './search.ts';

const canaries = makeCanaries();
const search = new Search(canaries);

test('there are 36 canaries of every shape, each found in all its spellings and not mistaken for another', () => {
  assert.equal(canaries.length, 36);
  for (const canary of canaries) {
    for (const spelling of spellingsOf(canary)) {
      assert.deepEqual([...search.inText(`before ${spelling} after`)], [canary.name]);
    }
  }
  assert.equal(search.inText('plain text').size, 0);
});

test('a canary across the border of two chunks is found', async () => {
  for (const canary of canaries) {
    const bytes = Buffer.from(`${'x'.repeat(500)}${canary.value}y`);
    for (const cut of [501, 503, bytes.length - 3]) {
      const found = await search.inStream(Readable.from([bytes.subarray(0, cut), bytes.subarray(cut)]));
      assert.deepEqual([...found], [canary.name], `${canary.name} cut at ${cut}`);
    }
  }
});

test('canaries in an archive are found in plain and in compressed files', async () => {
  const [first, second] = canaries as [(typeof canaries)[number], (typeof canaries)[number]];
  const tar = pack();
  tar.entry({ name: 'empty' }, '');
  tar.entry({ name: 'layer.tar' }, `x${first.value}x`);
  tar.entry({ name: 'layer.tar.gz' }, gzipSync(`x${second.value}x`));
  tar.finalize();
  assert.deepEqual([...(await search.inArchive(Readable.from(tar)))].sort(), [first.name, second.name].sort());
});
