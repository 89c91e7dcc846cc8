import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSums } from './verify.ts';

test('a checksum list is read if the key of the running release signed it, and a damaged key is reported', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ork-verify-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [sumsFile, signatureFile] = [join(folder, 'SHA256SUMS'), join(folder, 'SHA256SUMS.sig')];
  const sums = `${'a'.repeat(64)}  orkestr.tar.xz\n`;
  const makeKey = () => generateKeyPairSync('ed25519');
  const textOf = ({ publicKey }: ReturnType<typeof makeKey>): string =>
    publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const key = makeKey();
  writeFileSync(sumsFile, sums);
  writeFileSync(signatureFile, sign(null, Buffer.from(sums), key.privateKey));
  assert.deepEqual([...readSums(sumsFile, signatureFile, textOf(key))], [['orkestr.tar.xz', 'a'.repeat(64)]]);
  assert.throws(() => readSums(sumsFile, signatureFile, textOf(makeKey())), { code: 'ORK_UPGRADE_SIGNATURE' });
  const damaged = `N${textOf(key).slice(1)}`;
  assert.throws(() => readSums(sumsFile, signatureFile, damaged), {
    code: 'ORK_UPGRADE_UNSUPPORTED',
    message: /damaged/,
  });
});
