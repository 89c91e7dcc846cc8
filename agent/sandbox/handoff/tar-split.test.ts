import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { assembleTar, type SplitTar, tarSize } from './tar-split.ts';

const file = (name: string, size: number): object => ({ type: 1, name, size, payload: '' });
const segment = (text: string): object => ({ type: 2, payload: Buffer.from(text).toString('base64') });

/** A layer with this record, and a folder for its files; next to it lies `secret`, which is not part of the layer. */
async function layerOf(t: TestContext, entries: readonly object[]): Promise<SplitTar> {
  const folder = await mkdtemp(join(tmpdir(), 'ork-split-'));
  t.after(() => rm(folder, { recursive: true }));
  const layer = { recordPath: join(folder, 'record.json.gz'), filesPath: join(folder, 'diff') };
  await mkdir(layer.filesPath);
  await writeFile(join(folder, 'secret'), 'secret');
  await writeFile(layer.recordPath, gzipSync(entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')));
  return layer;
}

async function assembled(layer: SplitTar): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of assembleTar(layer)) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => assert.fail('it should have been refused'),
    (error: OrkestrError) => {
      assert.equal(error.code, 'ORK_IMAGE_DAMAGED');
      return [error.message, ...error.evidence].join(' ');
    },
  );

test('files and the segments between them come out in order, whether small or large', async (t) => {
  const large = 'x'.repeat(3_000_000);
  const layer = await layerOf(t, [
    segment('<a>'),
    file('a', 1),
    segment('<empty>'),
    file('empty', 0),
    segment('<large>'),
    file('./sub/large', large.length),
    segment('<b>'),
    { type: 1, name_raw: Buffer.from('\xe9', 'latin1').toString('base64'), size: 1, payload: '' },
    segment('<end>'),
  ]);
  await mkdir(join(layer.filesPath, 'sub'));
  await writeFile(join(layer.filesPath, 'a'), 'A');
  await writeFile(join(layer.filesPath, 'sub/large'), large);
  await writeFile(Buffer.concat([Buffer.from(`${layer.filesPath}/`), Buffer.from([0xe9])]), 'B');
  const text = `<a>A<empty><large>${large}<b>B<end>`;
  assert.ok((await assembled(layer)) === text);
  assert.equal(await tarSize(layer), text.length);
});

test('no name leads out of the layer', async (t) => {
  const outside = async (name: string, prepare?: (files: string) => Promise<void>): Promise<string> => {
    const layer = await layerOf(t, [segment('<'), file(name, 6)]);
    await prepare?.(layer.filesPath);
    return refused(assembled(layer));
  };
  assert.match(await outside('../secret'), /leads out of its layer/);
  assert.match(await outside('a/../../secret'), /leads out of its layer/);
  assert.match(await outside('link/secret', (files) => symlink('..', join(files, 'link'))), /a link in its path/);
  assert.match(await outside('link', (files) => symlink('../secret', join(files, 'link'))), /cannot be read/);
  assert.match(await outside('/../secret'), /leads out of its layer/);
});

test('the error names a file that is missing or has become shorter', async (t) => {
  const layer = await layerOf(t, [file('short', 10), segment('>')]);
  assert.match(await refused(assembled(layer)), /short cannot be read.*ENOENT/);
  await writeFile(join(layer.filesPath, 'short'), '12345');
  assert.match(await refused(assembled(layer)), /short cannot be read.*5 bytes are missing/);
});

test('a truncated or invalid record is rejected', async (t) => {
  const layer = await layerOf(t, [segment('<')]);
  for (const bytes of [gzipSync('{"type":2').subarray(0, -4), gzipSync('{"type":9}\n'), Buffer.from('no gzip')]) {
    await writeFile(layer.recordPath, bytes);
    assert.match(await refused(assembled(layer)), /record\.json\.gz cannot be read/);
  }
});
