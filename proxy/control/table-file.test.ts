import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import type { Table } from '../../protocol/proxy-admin.ts';
import { TableFile } from './table-file.ts';

const log = makeLogger('proxy', 'silent');

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orkestr-table-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return join(path, 'state');
}

function table(generation: number): Table {
  const uuid = `01890a5d-ac96-774b-bcce-${String(generation).padStart(12, '0')}`;
  const targets = [{ id: uuid, address: '127.0.0.1', port: 8080 }];
  const routes = [{ host: 'a.test', pathPrefix: '/' }];
  return { version: 1, upstreams: [{ id: uuid, generation, targets, routes, edge: EdgeSettings.parse({}) }] };
}

async function saved(t: TestContext, ...generations: number[]): Promise<string> {
  const path = await folder(t);
  const file = new TableFile(path, log);
  await file.restore();
  for (const generation of generations) await file.save(table(generation));
  return path;
}

const restore = (path: string) => new TableFile(path, log).restore();

test('without any file there is nothing to restore, and that is no damage', async (t) => {
  assert.deepEqual(await restore(await folder(t)), { from: 'nothing', table: { version: 1, upstreams: [] } });
});

test('what was saved last is restored, the one before is kept, and nothing else is left', async (t) => {
  const path = await saved(t, 1, 2, 3);
  assert.deepEqual(await restore(path), { from: 'file', table: table(3) });
  await rm(join(path, 'table.json'));
  assert.deepEqual(await restore(path), { from: 'previous', table: table(2) });
  assert.deepEqual(await readdir(path), ['table.previous.json']);
});

test('files and folder are for their owner only', async (t) => {
  const path = await saved(t, 1, 2);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  for (const name of await readdir(path)) assert.equal((await stat(join(path, name))).mode & 0o777, 0o600, name);
});

test('a file cut at any byte, or with any byte flipped, is never taken for a table', async (t) => {
  const path = await saved(t, 1);
  const file = join(path, 'table.json');
  const whole = await readFile(file);
  for (let at = 0; at < whole.length - 1; at += 7) {
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

test('a table in another order of fields, or of a version that knew fewer of them, is read', async (t) => {
  const path = await folder(t);
  const file = new TableFile(path, log);
  await file.restore();
  const [upstream] = table(1).upstreams;
  assert.ok(upstream);
  const { edge, routes, ...rest } = upstream;
  await file.save({ version: 1, upstreams: [{ edge: {}, routes, ...rest } as typeof upstream] });
  assert.deepEqual(await restore(path), { from: 'file', table: table(1) });
  assert.equal(edge.responseSeconds, 60);
});

test('a damaged file does not become the copy that the next restart falls back to', async (t) => {
  const path = await saved(t, 1, 2);
  await writeFile(join(path, 'table.json'), 'damaged');
  const file = new TableFile(path, log);
  assert.deepEqual(await file.restore(), { from: 'previous', table: table(1) });
  await file.save(table(3));
  assert.equal(await readFile(join(path, 'table.json.damaged'), 'utf8'), 'damaged');
  await writeFile(join(path, 'table.json'), '');
  assert.deepEqual(await restore(path), { from: 'previous', table: table(1) });
});

test('with both copies damaged the evidence names both, and a restart finds the same', async (t) => {
  const path = await saved(t, 1, 2);
  await writeFile(join(path, 'table.json'), '{"version":1,"upstreams":[]}');
  await writeFile(join(path, 'table.previous.json'), '[]');
  for (let start = 0; start < 2; start += 1) {
    const read = await restore(path);
    assert.equal(read.from, 'unreadable');
    assert.match(read.from === 'unreadable' ? read.evidence.join() : '', /table\.json: .*table\.previous\.json: /);
  }
});

test('a save that fails leaves the saved table as it was', async (t) => {
  const path = await saved(t, 1, 2);
  const file = new TableFile(path, log);
  await file.restore();
  // A folder in the place of the temporary file: fails for root too, unlike missing rights.
  await mkdir(join(path, 'table.json.new'));
  await assert.rejects(file.save(table(3)), { code: 'EISDIR' });
  assert.deepEqual(await restore(path), { from: 'file', table: table(2) });
  await rm(join(path, 'table.json.new'), { recursive: true });
  await file.save(table(4));
  assert.deepEqual(await restore(path), { from: 'file', table: table(4) });
});

test('a save whose rename cannot be made durable is taken back, also when it was the first', async (t) => {
  const path = await saved(t, 1, 2);
  const fail = (): Promise<void> => Promise.reject(new Error('the disk is dying'));
  const file = new TableFile(path, log, fail);
  await file.restore();
  await assert.rejects(file.save(table(3)), /dying/);
  assert.deepEqual(await restore(path), { from: 'file', table: table(2) });
  const fresh = await folder(t);
  const first = new TableFile(fresh, log, fail);
  await first.restore();
  await assert.rejects(first.save(table(1)), /dying/);
  assert.equal((await restore(fresh)).from, 'nothing');
  const healed = new TableFile(path, log);
  await healed.restore();
  await healed.save(table(4));
  assert.deepEqual(await restore(path), { from: 'file', table: table(4) });
  await rm(join(path, 'table.json'));
  assert.deepEqual(await restore(path), { from: 'previous', table: table(2) });
});
