import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ReleaseManifest } from '../../protocol/release.ts';
import { startTestApi } from './test-api.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const ARCHIVE = 'orkestr-1.2.3-linux-x64.tar.xz';
const FILES = {
  [ARCHIVE]: 'an archive',
  SHA256SUMS: 'sums\n',
  'install.sh': "#!/bin/sh\nRELEASE_VERSION='1.2.3'\nHUB_URL=''\nHUB_SUMS_SHA256=''\n",
};

/** A folder with a release, and a file next to it that is not part of it. */
function release(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-release-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries({ ...FILES, 'secret.pem': 'a key' }))
    writeFileSync(join(folder, name), text);
  const manifest: ReleaseManifest = {
    protocol: 1,
    version: '1.2.3',
    publicKey: `${'A'.repeat(59)}=`,
    files: Object.entries(FILES).map(([name, text]) => ({ name, bytes: text.length, sha256: sha256(text) })),
  };
  writeFileSync(join(folder, 'release.json'), JSON.stringify(manifest));
  return folder;
}

test('the served installer contains the URL of its hub and the checksum of SHA256SUMS', async (t) => {
  const api = await startTestApi(t, { ORKESTR_HUB_RELEASES: release(t) });
  const script = await api.fetch({ path: '/install.sh' });
  assert.equal(script.status, 200);
  const expected = `#!/bin/sh\nRELEASE_VERSION='1.2.3'\nHUB_URL='${api.url}'\nHUB_SUMS_SHA256='${sha256('sums\n')}'\n`;
  assert.equal(script.text, expected);
});

test('files of the release are served without a token; files that its manifest does not list are not', async (t) => {
  const api = await startTestApi(t, { ORKESTR_HUB_RELEASES: release(t) });
  const archive = await api.fetch({ path: `/releases/${ARCHIVE}` });
  assert.equal(archive.text, 'an archive');
  assert.equal(archive.headers['content-length'], '10');
  assert.equal((await api.fetch({ path: '/releases/release.json' })).json.version, '1.2.3');
  for (const name of ['secret.pem', '..%2fhub.sqlite', '%2fetc%2fpasswd', '.', `${ARCHIVE}%00`, 'x'.repeat(300)]) {
    const answer = await api.fetch({ path: `/releases/${name}` });
    assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`);
    assert.ok(!answer.text.includes('a key'));
  }
});

test('an archive that is not installed on the hub is not offered, and a request for it says so', async (t) => {
  const folder = release(t);
  rmSync(join(folder, ARCHIVE));
  const api = await startTestApi(t, { ORKESTR_HUB_RELEASES: folder });
  const names = (await api.fetch({ path: '/join' })).json.files.map(({ name }: { name: string }) => name);
  assert.deepEqual(names, ['SHA256SUMS', 'install.sh']);
  const answer = await api.fetch({ path: `/releases/${ARCHIVE}` });
  assert.equal(answer.status, 404);
  assert.match(answer.text, /has no file orkestr-1\.2\.3-linux-x64/);
});

test('GET /join returns what a host needs to join, and a new host gets its install command', async (t) => {
  const api = await startTestApi(t, { ORKESTR_HUB_RELEASES: release(t) });
  const { json } = await api.fetch({ path: '/join' });
  assert.equal(json.hubUrl, api.url);
  assert.equal(json.version, '1.2.3');
  assert.equal(json.files.length, 3);
  const { token } = await api.account('team');
  const host = await api.call(token, 'POST', '/hosts', { name: 'vps; rm -rf /' });
  const line = `curl -fsSL ${api.url}/install.sh | sudo sh -s -- --hub ${api.url} --token ${host.json.joinToken} --allow-http`;
  assert.equal(host.json.installCommand, line);
});

test('the install command of a new host contains the ACME e-mail address, which GET /join does not reveal', async (t) => {
  for (const [email, word] of [
    ['you@example.com', 'you@example.com'],
    ["o'neill$(id)@example.com", String.raw`'o'\''neill$(id)@example.com'`],
  ] as const) {
    const api = await startTestApi(t, { ORKESTR_HUB_RELEASES: release(t), ORKESTR_HUB_ACME_EMAIL: email });
    const { token } = await api.account('team');
    const host = await api.call(token, 'POST', '/hosts', { name: 'vps' });
    assert.ok(host.json.installCommand.includes(` --email ${word} `), host.json.installCommand);
    assert.ok(!(await api.fetch({ path: '/join' })).text.includes('example.com'));
  }
});

test('a hub without a release says so', async (t) => {
  const api = await startTestApi(t);
  for (const path of ['/join', '/install.sh', '/releases/release.json']) {
    const answer = await api.fetch({ path });
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json.code, 'ORK_NOT_FOUND');
  }
  const { token } = await api.account('team');
  assert.equal((await api.call(token, 'POST', '/hosts', { name: 'vps' })).json.installCommand, null);
});
