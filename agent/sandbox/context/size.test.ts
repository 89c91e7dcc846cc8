import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrkestrError } from '../../../protocol/errors.ts';
import { MIB } from '../../../protocol/size.ts';
import type { ContextEntry, ContextFile } from './context.ts';
import { takeContext } from './size.ts';

const limits = { contextMiB: 10, contextFiles: 1000 };

const file = (size: number, content: ContextFile['content'] = { path: '/f' }, name = 'f'): ContextFile => ({
  kind: 'file',
  name,
  mode: 0o644,
  modifiedAt: 0n,
  size,
  content,
});

async function* files(count: number, bytes: number): AsyncGenerator<ContextEntry> {
  yield { kind: 'folder', name: 'd', mode: 0o755, modifiedAt: 0n };
  yield file(20 * MIB, { bytes: Buffer.alloc(0) }); // a file of the plan
  for (let made = 0; made < count; made += 1) yield file(bytes, { path: '/f' }, `${made % 2}/${made}`);
}

const check = (count: number, bytes: number, msPerLook = 0): Promise<string> => {
  let now = 0;
  return takeContext(
    files(count, bytes),
    limits,
    { monotonic: () => (now += msPerLook) },
    new AbortController().signal,
  ).then(
    () => 'fine',
    ({ code, message }: OrkestrError) => `${code} ${message}`,
  );
};

test('a context up to and including its limits passes', async () => {
  assert.equal(await check(1000, 10), 'fine');
  assert.equal(await check(10, MIB), 'fine');
});

test('too many files or bytes are rejected with the number and the limit', async () => {
  assert.equal(await check(5000, 0), 'ORK_CONTEXT_TOO_LARGE The build context is too large: 5000 files, limit 1000.');
  assert.equal(await check(100, MIB), 'ORK_CONTEXT_TOO_LARGE The build context is too large: 100 MiB, limit 10 MiB.');
});

test('the message names the folder that contains most of it', async () => {
  async function* uneven(bytes: number): AsyncGenerator<ContextEntry> {
    for (let made = 0; made < 1500; made += 1)
      yield file(made === 0 ? bytes : 1, { path: '/f' }, made < 700 ? `a/b/${made}` : `c/${made}`);
  }
  const refused = (bytes: number, contextFiles: number): Promise<string> =>
    takeContext(
      uneven(bytes),
      { contextMiB: 10, contextFiles },
      { monotonic: () => 0 },
      new AbortController().signal,
    ).then(
      () => 'fine',
      ({ message }: OrkestrError) => message,
    );
  assert.match(await refused(1, 1000), /: 1500 files, limit 1000, most of them in c\.$/);
  assert.match(await refused(20 * MIB, 10_000), /: 20 MiB, limit 10 MiB, most of it in a\.$/);
});

test('counting that takes too long beyond the limit stops and rejects with the count so far', async () => {
  assert.match(await check(1_000_000, 0, 100), /more than 10\d\d files, limit 1000/);
});

test('a cancelled build stops the counting', async () => {
  const cancelled = new AbortController();
  const counting = takeContext(files(1_000_000, 0), limits, { monotonic: () => 0 }, cancelled.signal);
  cancelled.abort(new Error('cancelled'));
  await assert.rejects(counting, /cancelled/);
});
