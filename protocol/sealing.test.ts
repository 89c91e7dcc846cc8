import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

test('a sealed value opens only with the same key and context, and is sealed differently each time', () => {
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
  const bytes = Buffer.from(sealed.slice('v1.'.length), 'base64');
  const encode = (changed: Buffer): string => `v1.${changed.toString('base64')}`;
  const flipped = [...bytes.keys()].map((at) =>
    encode(Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)))),
  );
  const cut = [...bytes.keys()].map((length) => encode(bytes.subarray(0, length)));
  for (const broken of [...flipped, ...cut, sealed.replace('v1.', 'v2.'), ''])
    assert.throws(() => sealer.open(broken, 'x'), isConfigError, broken);
});

test('an empty value whose seal is cut short does not open', () => {
  const sealer = makeSealer(Buffer.alloc(32, 1));
  const bytes = Buffer.from(sealer.seal('', 'x').slice('v1.'.length), 'base64');
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => sealer.open(`v1.${bytes.subarray(0, length).toString('base64')}`, 'x'), isConfigError);
});

test('the key file is created once, for its owner only, and is read again', (t) => {
  const path = join(folder(t), 'secret.key');
  const sealed = sealerFromKeyFile(path).seal('secret', 'x');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(sealerFromKeyFile(path).open(sealed, 'x'), 'secret');
});

test('an invalid key file is a configuration error', (t) => {
  const path = join(folder(t), 'secret.key');
  writeFileSync(path, 'short');
  assert.throws(() => sealerFromKeyFile(path), isConfigError);
});

test('a full disk leaves no partial key file, and the key is created once there is room', (t) => {
  const disk = folder(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
  try {
    const path = join(disk, 'secret.key');
    assert.throws(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(65_536 * 2)), { code: 'ENOSPC' });
    assert.throws(() => sealerFromKeyFile(path), { code: 'ENOSPC' });
    assert.deepEqual(readdirSync(disk), ['filler']);
    rmSync(join(disk, 'filler'));
    const sealed = sealerFromKeyFile(path).seal('secret', 'x');
    assert.equal(sealerFromKeyFile(path).open(sealed, 'x'), 'secret');
  } finally {
    execFileSync('umount', [disk]);
  }
});
