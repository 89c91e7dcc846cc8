import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ReleaseManifest } from '../../protocol/release.ts';
import { ScriptedHost } from './test-host.ts';

const CHANNEL = '-fsSL --retry 3 --max-time 600 -- https://releases.example.com/channels/stable';

function hostWith(t: TestContext, present?: string): ScriptedHost {
  const host = new ScriptedHost(t);
  host.file('var/lib/orkestr/agent/identity.json', '{}');
  mkdirSync(join(host.root, 'opt/orkestr'), { recursive: true });
  if (present !== undefined) symlinkSync(`releases/${present}`, join(host.root, 'opt/orkestr/current'));
  return host;
}

const choose = 'choose_version; keep_newer; echo "$version"';

test('the version is that of this installer, that of a channel, or the named one', async (t) => {
  const host = hostWith(t);
  host.program('curl', { [CHANNEL]: '1.4.0\n' });
  assert.equal((await host.run(choose)).stdout, '1.2.0\n');
  assert.equal((await host.run(choose, '--channel', 'stable')).stdout, '1.4.0\n');
  assert.equal((await host.run(choose, '--channel', 'stable', '--version', '1.0.0')).stdout, '1.0.0\n');
});

test('a channel that cannot be read or names no version is reported as such', async (t) => {
  const cases = [
    [{ code: 22, stderr: 'curl: (22) 404\n' }, /channels\/stable could not be fetched\.\n.*--version/],
    ['<html>', /channels\/stable does not name a version/],
    ['', /channels\/stable does not name a version/],
  ] as const;
  for (const [answer, told] of cases) {
    const host = hostWith(t);
    host.program('curl', { [CHANNEL]: answer });
    const { code, stdout, stderr } = await host.run(choose, '--channel', 'stable');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, told);
  }
  const { code, stderr } = await hostWith(t).run(choose, '--channel', 'stable');
  assert.equal(code, 1);
  assert.match(stderr, /could not be fetched/);
});

test('a newer version on the host stays, unless the older one is named', async (t) => {
  const cases = [
    ['1.10.0', [], '1.10.0'],
    ['1.2.0', [], '1.2.0'],
    ['1.1.9', [], '1.2.0'],
    ['1.2.0-rc.2', [], '1.2.0'],
    ['1.3.0-rc.2', [], '1.3.0-rc.2'],
    ['1.10.0', ['--version', '1.2.0'], '1.2.0'],
    ['1.2.0', ['--version', '1.2.0-rc.1'], '1.2.0-rc.1'],
  ] as const;
  for (const [present, options, wanted] of cases) {
    const { stdout, stderr } = await hostWith(t, present).run(choose, ...options);
    assert.equal(stdout, `${wanted}\n`, present);
    assert.equal(
      /newer than 1\.2\.0: keeping it\.\n.*--version 1\.2\.0/.test(stderr),
      present === wanted && present !== '1.2.0',
      present,
    );
  }
});

const ARCHIVES = { x64: 'orkestr-1.2.0-linux-x64.tar.xz', arm64: 'orkestr-1.2.0-linux-arm64.tar.xz' };
const HUB_OPTIONS = ['--hub-here', '--offline'];
const KEY = `${'A'.repeat(59)}=`;
const facts = `RELEASE_KEY=${KEY} version=1.2.0 target=linux-x64`;
const keep = `${facts} archive=${ARCHIVES.x64} making=$ROOT_FOLDER/making; keep_served`;
/** Files unpacked from the archive. */
const UNPACKED = { 'install.sh': 'of the archive', 'origin.json': '{\n  "version": "1.2.0",\n  "protocol": 7\n}\n' };

const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A folder with a release for hosts without internet, and the files already verified from it. */
function offline(t: TestContext, arm64: string): ScriptedHost {
  const host = hostWith(t);
  const sums = Object.values(ARCHIVES).map((name) => `${sumOf(name)}  ${name}\n`);
  const signed = { SHA256SUMS: sums.join(''), 'SHA256SUMS.sig': 'signature', [ARCHIVES.x64]: ARCHIVES.x64 };
  for (const folder of ['given', 'opt/orkestr/making'])
    for (const [name, text] of Object.entries(signed)) host.file(`${folder}/${name}`, text);
  for (const [name, text] of Object.entries(UNPACKED))
    host.file(`opt/orkestr/making/orkestr-1.2.0-linux-x64/${name}`, text);
  for (const name of ['release.json', 'install.sh']) host.file(`given/${name}`, 'signed by nobody');
  if (arm64 !== '') host.file(`given/${ARCHIVES.arm64}`, arm64);
  return host;
}

test('a hub serves the archives for all kinds of machines, as far as they are given', async (t) => {
  for (const arm64 of [ARCHIVES.arm64, '']) {
    const host = offline(t, arm64);
    const { code, stderr } = await host.run(keep, ...HUB_OPTIONS, join(host.root, 'given'));
    assert.equal(code, 0, stderr);
    const served = (name: string): boolean => existsSync(join(host.root, 'opt/orkestr/served', name));
    assert.deepEqual([served(ARCHIVES.x64), served(ARCHIVES.arm64), served('SHA256SUMS')], [true, arm64 !== '', true]);
  }
});

test('a hub serves an installer and a file list made from the signed files, not those published beside them', async (t) => {
  const host = offline(t, ARCHIVES.arm64);
  const { code, stderr } = await host.run(keep, ...HUB_OPTIONS, join(host.root, 'given'));
  assert.equal(code, 0, stderr);
  const served = join(host.root, 'opt/orkestr/served');
  assert.equal(readFileSync(join(served, 'install.sh'), 'utf8'), UNPACKED['install.sh']);
  const names = readdirSync(served).filter((name) => name !== 'release.json');
  const files = names.toSorted().map((name) => {
    const text = readFileSync(join(served, name), 'utf8');
    return { name, bytes: text.length, sha256: sumOf(text) };
  });
  const listed = ReleaseManifest.parse(JSON.parse(readFileSync(join(served, 'release.json'), 'utf8')));
  const byName = listed.files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual({ ...listed, files: byName }, { version: '1.2.0', publicKey: KEY, protocol: 7, files });
  for (const name of readdirSync(served)) assert.equal(statSync(join(served, name)).mode & 0o444, 0o444, name);
});

test('a hub that is installed on a host with the same release still gets the files that it serves', async (t) => {
  const host = offline(t, '');
  mkdirSync(join(host.root, 'opt/orkestr/releases/1.2.0'), { recursive: true });
  symlinkSync('releases/1.2.0', join(host.root, 'opt/orkestr/current'));
  const unpacked = join(host.root, 'opt/orkestr/making/orkestr-1.2.0-linux-x64');
  host.programText('tar', `cp -r '${unpacked}' "$5/"`);
  const install = `${facts}; check_signature() { :; }; ln() { :; }; install_release`;
  const given = join(host.root, 'given');
  const says = /^doing {4}keep orkestr 1\.2\.0 for other hosts$/m;

  const agentOnly = await host.run(install, '--hub', 'https://hub.example.com', '--offline', given);
  assert.deepEqual([agentOnly.code, says.test(agentOnly.stdout)], [0, false]);
  const first = await host.run(install, ...HUB_OPTIONS, given);
  assert.deepEqual([first.code, first.stderr, says.test(first.stdout)], [0, '', true]);
  assert.deepEqual(
    readdirSync(join(host.root, 'opt/orkestr/served')).toSorted(),
    ['SHA256SUMS', 'SHA256SUMS.sig', 'install.sh', ARCHIVES.x64, 'release.json'].toSorted(),
  );
  assert.deepEqual(readdirSync(join(host.root, 'opt/orkestr/releases')), ['1.2.0']);
  const second = await host.run(install, ...HUB_OPTIONS, given);
  assert.deepEqual([second.code, says.test(second.stdout)], [0, false]);
});

test('an archive for other machines that does not match the release is not served', async (t) => {
  const host = offline(t, 'something else');
  const { code, stderr } = await host.run(keep, ...HUB_OPTIONS, join(host.root, 'given'));
  assert.equal(code, 1);
  assert.match(stderr, /arm64\.tar\.xz does not match the release's list of checksums/);
  assert.equal(existsSync(join(host.root, 'opt/orkestr/served')), false);
});

test("an OpenSSL without ed25519 uses the checksum in this installer, and only for the installer's own version", async (t) => {
  const list = 'sums\n';
  const sum = sumOf(list);
  const other = sumOf('others');
  const cases = [
    [`RELEASE_SUMS_SHA256=${sum}`, '', /^$/],
    [`HUB_SUMS_SHA256=${sum}`, '', /^$/],
    [`RELEASE_SUMS_SHA256=${other}`, '', /list of checksums is not the one that this installer was made with/],
    [':', '', /OpenSSL 1\.1\.1w .*cannot verify the signature[^]*published with 1\.2\.0/],
    [`RELEASE_SUMS_SHA256=${sum}`, '1.1.0', /OpenSSL 1\.1\.1w .*cannot verify the signature[^]*published with 1\.1\.0/],
  ] as const;
  for (const [fact, version, told] of cases) {
    const host = hostWith(t);
    host.program('openssl', { version: 'OpenSSL 1.1.1w  11 Sep 2023\n' });
    host.file('made/SHA256SUMS', list);
    const options = version === '' ? [] : ['--version', version];
    const { code, stderr } = await host.run(`${fact}; choose_version; check_signature ${host.root}/made`, ...options);
    assert.match(stderr, told, fact);
    assert.equal(code === 0, stderr === '', fact);
  }
});
