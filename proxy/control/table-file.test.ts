import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import type { Table } from '../../protocol/proxy-admin.ts';
import { writeCopy } from './table-copy.ts';
import { TableFile } from './table-file.ts';

const log = makeLogger('proxy', 'silent');
const [A, B] = ['table.a.json', 'table.b.json'] as const;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orkestr-table-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return join(path, 'state');
}

function table(generation: number, upstreams = 1): Table {
  const entries = Array.from({ length: upstreams }, (_, at) => {
    const uuid = `01890a5d-ac96-774b-bcc${at % 10}-${String(generation * 1000 + at).padStart(12, '0')}`;
    const targets = [{ id: uuid, address: '127.0.0.1', port: 8080 }];
    const routes = [{ host: `a${at}.test`, pathPrefix: '/' }];
    return { id: uuid, generation, targets, routes, edge: EdgeSettings.parse({}) };
  });
  return { version: 1, upstreams: entries };
}

/** A folder with these tables saved in turn: the first in A, the second in B, the third in A again. */
async function saved(t: TestContext, ...generations: number[]): Promise<string> {
  const path = await folder(t);
  const file = await opened(path);
  for (const generation of generations) await file.save(table(generation));
  return path;
}

async function opened(path: string): Promise<TableFile> {
  const file = new TableFile(path, log);
  await file.restore();
  return file;
}

const restore = (path: string) => new TableFile(path, log).restore();

test('without files there is nothing to restore, and that does not count as damage', async (t) => {
  assert.deepEqual(await restore(await folder(t)), { from: 'nothing', table: { version: 1, upstreams: [] } });
});

test('the last saved table is restored, the previous one is kept, and no other files are left', async (t) => {
  for (const generations of [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]) {
    const path = await saved(t, ...generations);
    assert.deepEqual(await restore(path), { from: 'file', table: table(generations.length) });
    assert.deepEqual(await readdir(path), generations.length > 1 ? [A, B] : [A]);
  }
  const path = await saved(t, 1, 2, 3);
  await rm(join(path, A));
  assert.deepEqual(await restore(path), { from: 'file', table: table(2) });
});

test('missing copies are created in advance, so that the first flips overwrite them in place', async (t) => {
  const inodes = (path: string): Promise<number[]> =>
    Promise.all([A, B].map(async (name) => (await stat(join(path, name))).ino));
  for (const generations of [[], [1]]) {
    const path = await saved(t, ...generations);
    const file = new TableFile(path, log);
    const restored = await file.restore();
    assert.ok(restored.from !== 'unreadable');
    await file.fill(restored.table);
    assert.deepEqual((await restore(path)).from, 'file');
    const before = await inodes(path);
    for (const generation of [2, 3]) {
      await file.save(table(generation));
      assert.deepEqual(await restore(path), { from: 'file', table: table(generation) });
    }
    assert.deepEqual(await inodes(path), before);
  }
});

test('a copy that could not be created in advance is created by the next flip', async (t) => {
  const path = await folder(t);
  let isFull = true;
  const file = new TableFile(path, log, (...args) => (isFull ? Promise.reject(new Error('full')) : writeCopy(...args)));
  await file.restore();
  await file.fill(table(0));
  isFull = false;
  await file.save(table(1));
  assert.deepEqual(await restore(path), { from: 'file', table: table(1) });
});

test('files and folder are accessible to their owner only', async (t) => {
  const path = await saved(t, 1, 2);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  for (const name of await readdir(path)) assert.equal((await stat(join(path, name))).mode & 0o777, 0o600, name);
});

test('a table that grows and shrinks is always restored completely; a save of the same size is in place', async (t) => {
  const path = await folder(t);
  const file = await opened(path);
  const places = new Set<number>();
  for (const [at, count] of [1, 500, 2, 2, 2, 40, 0, 3].entries()) {
    const generation = at + 1;
    await file.save(table(generation, count));
    assert.deepEqual(await restore(path), { from: 'file', table: table(generation, count) });
    if (count === 2) places.add((await stat(join(path, at % 2 === 0 ? A : B))).ino);
  }
  assert.equal(places.size, 2, 'of the three saves of one size, the third took the place of the first');
});

test('a truncated copy, or one with a flipped bit, is never read as a different table', async (t) => {
  const path = await saved(t, 1);
  const file = join(path, A);
  const whole = await readFile(file);
  const end = whole.toString('utf8').trimEnd().length;
  for (let at = 0; at < end; at += 7) {
    await writeFile(file, whole.subarray(0, at));
    assert.equal((await restore(path)).from, 'unreadable', `cut at ${at}`);
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await writeFile(file, flipped);
    const read = await restore(path);
    // A flipped space between two tokens may mean the same; a table that differs is never read.
    if (read.from !== 'unreadable') assert.deepEqual(read.table, table(1), `flipped at ${at}`);
  }
});

test('a save that a power cut interrupts at any byte leaves the previous table', async (t) => {
  const path = await saved(t, 1, 2, 3);
  const [before, after] = [await readFile(join(path, A)), await saved(t, 1, 2, 3, 4, 5)];
  const next = await readFile(join(after, A));
  // The copy is half new, half old: the fifth save overwrites the third.
  for (let at = 1; at < next.length; at += 97) {
    await writeFile(join(path, A), Buffer.concat([next.subarray(0, at), before.subarray(at)]));
    const read = await restore(path);
    assert.ok(read.from !== 'unreadable' && read.from !== 'nothing', `cut at ${at}`);
    const [generation] = read.table.upstreams.map((one) => one.generation);
    const isWhole =
      next.subarray(at).equals(before.subarray(at)) || before.subarray(0, at).equals(next.subarray(0, at));
    assert.ok(isWhole || generation === 2, `cut at ${at}: generation ${generation}`);
  }
});

test('a table with fields in another order, or without fields of a newer version, is read', async (t) => {
  const path = await folder(t);
  const file = await opened(path);
  const [upstream] = table(1).upstreams;
  assert.ok(upstream);
  const { edge, routes, ...rest } = upstream;
  await file.save({ version: 1, upstreams: [{ edge: {}, routes, ...rest } as typeof upstream] });
  assert.deepEqual(await restore(path), { from: 'file', table: table(1) });
  assert.equal(edge.responseSeconds, 60);
});

test('a damaged copy is reported and moved aside, and the next save does not overwrite the good copy', async (t) => {
  for (const [damaged, good, generation] of [
    [A, B, 2],
    [B, A, 1],
  ] as const) {
    const path = await saved(t, 1, 2);
    await writeFile(join(path, damaged), 'damaged');
    const file = new TableFile(path, log);
    assert.deepEqual(await file.restore(), { from: 'other copy', table: table(generation) });
    await file.save(table(3));
    assert.equal(await readFile(join(path, `${damaged}.damaged`), 'utf8'), 'damaged');
    assert.deepEqual(await restore(path), { from: 'file', table: table(3) });
    await rm(join(path, damaged));
    assert.deepEqual(await restore(path), { from: 'file', table: table(generation) }, `${good} is as it was`);
  }
});

test('if both copies are damaged, the evidence names both, a restart reports the same, and saves keep both files', async (t) => {
  const path = await saved(t, 1, 2);
  await writeFile(join(path, A), '{"version":1,"upstreams":[]}');
  await writeFile(join(path, B), '[]');
  for (let start = 0; start < 2; start += 1) {
    const read = await restore(path);
    assert.equal(read.from, 'unreadable');
    assert.match(read.from === 'unreadable' ? read.evidence.join() : '', /table\.a\.json: .*table\.b\.json: /);
  }
  const file = await opened(path);
  await file.save(table(3));
  await file.save(table(4));
  assert.deepEqual((await readdir(path)).toSorted(), [A, `${A}.damaged`, B, `${B}.damaged`]);
  assert.deepEqual(await restore(path), { from: 'file', table: table(4) });
});

test('a failed save keeps the saved table, for this process and for the next one', async (t) => {
  for (const place of [A, `${A}.new`]) {
    const path = await saved(t, 1, 2);
    const file = await opened(path);
    await rm(join(path, A));
    // A folder in place of a file: this fails for root too, unlike missing permissions.
    await mkdir(join(path, place));
    await assert.rejects(file.save(table(3)), { code: 'EISDIR' });
    const found = await restore(path);
    assert.deepEqual('table' in found && found.table, table(2));
    await rm(join(path, place), { recursive: true, force: true });
    await file.save(table(4));
    assert.deepEqual(await restore(path), { from: 'file', table: table(4) });
    await file.save(table(5));
    assert.deepEqual(await restore(path), { from: 'file', table: table(5) });
  }
});

test('a restart does not find a failed save, even if all of its bytes were written', async (t) => {
  const path = await saved(t, 1, 2);
  const file = new TableFile(path, log, async (...copy) => {
    await writeCopy(...copy);
    throw new Error('the disk is dying');
  });
  await file.restore();
  await assert.rejects(file.save(table(3)), /dying/);
  assert.deepEqual(await restore(path), { from: 'file', table: table(2) });
});
