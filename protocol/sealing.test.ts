import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { OrkestrError } from './errors.ts';
import { makeSealer, sealerFromKeyFile } from './sealing.ts';

const isConfigError = (error: unknown): boolean => error instanceof OrkestrError && error.code === 'ORK_CONFIG';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'ork-sealing-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('what was sealed opens under the same key and context only, and never looks the same twice', () => {
  const sealer = makeSealer(Buffer.alloc(32, 1));
  const sealed = sealer.seal('a secret — ü', 'row 1');
  assert.equal(sealer.open(sealed, 'row 1'), 'a secret — ü');
  assert.notEqual(sealer.seal('a secret — ü', 'row 1'), sealed);
  assert.throws(() => sealer.open(sealed, 'row 2'), isConfigError);
  assert.throws(() => makeSealer(Buffer.alloc(32, 2)).open(sealed, 'row 1'), isConfigError);
});

test('a changed or cut value does not open', () => {
  const sealer = makeSealer(Buffer.alloc(32, 1));
  const sealed = sealer.seal('secret', 'x');
  for (const broken of [
    sealed.slice(0, -4),
    sealed.replace('v1.', 'v2.'),
    `${sealed.slice(0, 10)}A${sealed.slice(11)}`,
    '',
    'v1.',
    'v1.AA',
  ])
    assert.throws(() => sealer.open(broken, 'x'), isConfigError, broken);
});

test('the key file is made once, for its owner alone, and read again', (t) => {
  const path = join(folder(t), 'secret.key');
  const sealed = sealerFromKeyFile(path).seal('secret', 'x');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(sealerFromKeyFile(path).open(sealed, 'x'), 'secret');
});

test('a key file that holds no key is named', (t) => {
  const path = join(folder(t), 'secret.key');
  writeFileSync(path, 'short');
  assert.throws(() => sealerFromKeyFile(path), isConfigError);
});
