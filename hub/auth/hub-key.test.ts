import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { isSignedBy, signText } from '../../protocol/signing.ts';
import { loadHubKey } from './hub-key.ts';

function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-key-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('the key is created once, readable for its owner only, and stays the same', (t) => {
  const folder = freshFolder(t);
  const path = join(folder, 'hub-key.pem');
  const first = loadHubKey(path);
  assert.deepEqual(loadHubKey(path), first);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['hub-key.pem']);
  assert.ok(isSignedBy('text', signText('text', first.privateKey), first.publicKey));
});

test('a file with other content is refused and never overwritten', (t) => {
  const path = join(freshFolder(t), 'hub-key.pem');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  for (const content of ['', 'garbage', rsa.toString()]) {
    writeFileSync(path, content);
    assert.throws(
      () => loadHubKey(path),
      (error) => error instanceof OrkestrError && error.code === 'ORK_CONFIG' && error.message.includes('hub-key.pem'),
    );
  }
});
