/** From issue to renewal against Debian's pebble, which connects to a listener of ours. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AcmeLab, DAY_MS, obtain, reasonOf, viewOf } from '../../../test/harness/acme-lab.ts';

let lab: AcmeLab;
before(async () => {
  lab = await AcmeLab.start();
});
after(() => lab?.close());

test('a host gets its certificate by HTTP-01, and visitors are served with it', async (t) => {
  await lab.pebble.setAddresses('a.test', ['127.0.0.1']);
  const started = await lab.start(t);
  await obtain(started, 'a.test');
  assert.deepEqual(started.tls.view().missing, []);
  assert.equal(viewOf(started, 'a.test')?.source, 'acme');
  assert.equal(started.tls.terminator.covers('a.test'), true);
  assert.equal((await lab.visit('a.test')).subjectaltname, 'DNS:a.test');
  assert.ok(
    lab.looked.some((line) => /^http a\.test .*LetsEncrypt/.test(line)),
    lab.looked.join(),
  );
  assert.equal(lab.worker.challenging, false, 'the challenge is closed');
  const [{ chain } = { chain: '' }] = started.tls.state().certificates;
  assert.equal(new X509Certificate(chain).subjectAltName, 'DNS:a.test');
  assert.equal(chain.split('BEGIN CERTIFICATE').length, 3, 'with the chain behind it');
});

test('a host gets its certificate by TLS-ALPN-01, even while another one is in use', async (t) => {
  await lab.pebble.setAddresses('alpn.test', ['127.0.0.1']);
  const started = await lab.start(t, { challengeTypes: ['tls-alpn-01'] });
  await obtain(started, 'alpn.test');
  const first = await lab.visit('alpn.test');
  lab.clock.offset = (Date.parse(first.valid_to) - Date.parse(first.valid_from)) * 0.7;
  await obtain(started, 'alpn.test');
  assert.notEqual((await lab.visit('alpn.test')).serialNumber, first.serialNumber);
  assert.ok(!lab.looked.includes('tls acme-tls/1'), 'such a connection comes to no app');
});

test('a certificate survives a restart, and is renewed with a new key after two thirds of its lifetime', async (t) => {
  await lab.pebble.setAddresses('renew.test', ['127.0.0.1']);
  const first = await lab.start(t);
  await obtain(first, 'renew.test');
  const orders = lab.pebble.orders;
  const old = await lab.visit('renew.test');
  await first.tls.close();

  const second = await lab.start(t, {}, first.state);
  assert.equal((await lab.visit('renew.test')).serialNumber, old.serialNumber, 'served before anything is wanted');
  const lifetime = Date.parse(old.valid_to) - Date.parse(old.valid_from);
  lab.clock.offset = lifetime * 0.6;
  await obtain(second, 'renew.test');
  assert.equal(lab.pebble.orders, orders, 'not before its time');
  lab.clock.offset = lifetime * 0.67;
  await second.tls.look();
  const renewed = await lab.visit('renew.test');
  assert.equal(lab.pebble.orders, orders + 1);
  assert.notEqual(renewed.serialNumber, old.serialNumber);
  assert.notDeepEqual(renewed.pubkey, old.pubkey);
  assert.ok(Date.parse(viewOf(second, 'renew.test')?.renewAt ?? '') > Date.parse(renewed.valid_from));
});

test('files are accessible to their owner only, and the log contains no key', async (t) => {
  await lab.pebble.setAddresses('secret.test', ['127.0.0.1']);
  const started = await lab.start(t);
  await obtain(started, 'secret.test');
  const acme = join(started.state, 'acme');
  const entries = await readdir(acme, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const mode = (await stat(join(entry.parentPath, entry.name))).mode & 0o777;
    assert.equal(mode, entry.isDirectory() ? 0o700 : 0o600, entry.name);
  }
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const keys = texts.join('\n').match(/-----BEGIN PRIVATE KEY-----\\?n?\s*[A-Za-z0-9+/]{40}/g) ?? [];
  assert.equal(keys.length, 2, 'the account and the certificate');
  assert.match(lab.logged, /certificate issued/);
  assert.doesNotMatch(lab.logged, /PRIVATE/);
  for (const key of keys) assert.ok(!lab.logged.includes(key.slice(-40)));
});

test('a waiting host is tried at once when its owner requests it', async (t) => {
  await lab.pebble.setAddresses('retry.test', ['192.0.2.1']);
  const started = await lab.start(t);
  await obtain(started, 'retry.test');
  await lab.pebble.setAddresses('retry.test', ['127.0.0.1']);
  await started.tls.look();
  assert.match(reasonOf(started, 'retry.test')?.reason ?? '', /^ORK_ACME_DNS/);
  await assert.rejects(started.tls.retry('nobodys.test'), { code: 'ORK_NOT_FOUND' });
  assert.equal(await started.tls.retry('retry.test'), true);
  await started.tls.look();
  assert.deepEqual(started.tls.view().missing, []);
});

test('an account that the CA no longer knows is registered again with the same key', async (t) => {
  await lab.pebble.setAddresses('account.test', ['127.0.0.1']);
  await lab.pebble.setAddresses('account2.test', ['127.0.0.1']);
  const started = await lab.start(t);
  await obtain(started, 'account.test');
  const [file] = await readdir(join(started.state, 'acme', 'accounts'));
  const path = join(started.state, 'acme', 'accounts', file ?? '');
  const account = JSON.parse(await readFile(path, 'utf8')) as { url: string; privateKey: string };
  await writeFile(path, JSON.stringify({ ...account, url: account.url.replace(/[^/]+$/, '9999') }));
  await obtain(started, 'account.test', 'account2.test');
  assert.deepEqual(started.tls.view().missing, []);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), account);
});

/** How a CA may refuse the name of the replaced certificate; in the second case that belongs to a lost account. */
const NOT_REPLACED = [
  [409, 'alreadyReplaced'],
  [403, 'unauthorized'],
] as const;

test('a certificate is renewed in the window that the CA suggests (ARI), and the order names the replaced one', async (t) => {
  await lab.pebble.setAddresses('ari.test', ['127.0.0.1']);
  const asked: string[] = [];
  const orders: (string | undefined)[] = [];
  let refusal: (typeof NOT_REPLACED)[number] | null = null;
  const day = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();
  const front = await lab.startFront(
    t,
    (own) => ({ renewalInfo: `${own}/renewal`, ...(refusal && { newOrder: `${own}/order` }) }),
    (path, sent) => {
      if (path !== '/order') {
        asked.push(path);
        const body = { suggestedWindow: { start: day(10), end: day(11) } };
        return { status: 200, headers: { 'retry-after': '21600' }, body };
      }
      const { payload } = JSON.parse(sent) as { payload: string };
      const { replaces } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { replaces?: string };
      orders.push(replaces);
      const [status, type] = replaces && refusal ? refusal : ([500, 'serverInternal'] as const);
      return { status, body: { type: `urn:ietf:params:acme:error:${type}` } };
    },
  );
  const started = await lab.start(t, { directories: [front.directory], caFile: front.caFile });
  await obtain(started, 'ari.test');
  const first = await lab.visit('ari.test');
  const serial = first.serialNumber.toLowerCase();
  const [, id = ''] = /^\/renewal\/(.+)$/.exec(asked[0] ?? '') ?? [];
  const [authorityKeyId, serialPart] = id.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
  assert.equal(serialPart?.replace(/^00/, ''), serial);
  assert.equal(authorityKeyId?.length, 40);
  const renewAt = Date.parse(viewOf(started, 'ari.test')?.renewAt ?? '');
  assert.ok(renewAt >= Date.parse(day(9.9)) && renewAt <= Date.parse(day(11)), 'in the window');
  await started.tls.look();
  assert.equal(asked.length, 1, 'not asked again before Retry-After');
  lab.clock.offset = 11.5 * DAY_MS;
  for (const one of NOT_REPLACED) {
    refusal = one;
    await started.tls.look();
    assert.deepEqual(orders.splice(0), [id, undefined], `with the name of the old one, and without it: ${one[1]}`);
    lab.clock.offset += 600_000;
  }
  refusal = null;
  await started.tls.look();
  assert.notEqual((await lab.visit('ari.test')).serialNumber, first.serialNumber);
});
