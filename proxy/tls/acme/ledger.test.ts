import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { makeCertificate } from '../../../test/harness/certificates.ts';
import { Ledger } from './ledger.ts';
import type { Failure } from './ledger.ts';
import { CertificateStore } from './store.ts';

const log = makeLogger('proxy', 'silent');

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orkestr-ledger-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const failure = (retryAt: string): Failure => ({
  tries: 2,
  interrupted: 0,
  retryAt,
  code: 'ORK_ACME_DNS',
  message: 'DNS has no address for it.',
});

test('failures and pauses survive a restart, even for a host named like an object property', async (t) => {
  const path = join(await folder(t), 'ledger.json');
  const first = await Ledger.open(path, log);
  for (const host of ['constructor', 'a.test']) assert.equal(first.failureOf(host), null);
  await first.setFailure('constructor', failure('2026-01-01T00:00:00.000Z'));
  await first.setFailure('a.test', failure('2026-02-01T00:00:00.000Z'));
  await first.setRest('https://ca.test/dir', '2026-03-01T00:00:00.000Z');
  const second = await Ledger.open(path, log);
  assert.deepEqual(second.failureOf('constructor'), failure('2026-01-01T00:00:00.000Z'));
  assert.equal(second.restOf('https://ca.test/dir'), '2026-03-01T00:00:00.000Z');
  await second.forget((host) => host === 'constructor');
  await second.setFailure('a.test', null);
  const third = await Ledger.open(path, log);
  for (const host of ['constructor', 'a.test']) assert.equal(third.failureOf(host), null);
});

test('a damaged ledger is moved aside and replaced by an empty one', async (t) => {
  const path = join(await folder(t), 'ledger.json');
  for (const text of ['', '{"version":1', '{"version":2}', '[]']) {
    await writeFile(path, text);
    const ledger = await Ledger.open(path, log);
    assert.equal(ledger.failureOf('a.test'), null);
    assert.equal(await readFile(`${path}.damaged`, 'utf8'), text);
    await ledger.setFailure('a.test', failure('2026-01-01T00:00:00.000Z'));
    assert.notEqual((await Ledger.open(path, log)).failureOf('a.test'), null);
  }
});

test('a stored certificate that is truncated at any byte is not used, and the others are', async (t) => {
  const path = await folder(t);
  const made = await makeCertificate(path, 'a', ['DNS:a.test']);
  const store = new CertificateStore(join(path, 'store'), log);
  assert.equal((await store.load()).size, 0);
  const issued = { chain: made.cert, privateKey: made.key };
  await store.save('a.test', issued);
  const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;
  const other = await makeCertificate(path, 'long', [`DNS:${long}`]);
  await store.save(long, { chain: other.cert, privateKey: other.key });
  assert.deepEqual(new Set((await store.load()).keys()), new Set(['a.test', long]));
  const file = join(path, 'store', 'a.test.pem');
  const whole = await readFile(file, 'utf8');
  for (let at = 0; at < whole.trimEnd().length; at += 37) {
    await writeFile(file, whole.slice(0, at));
    assert.deepEqual([...(await store.load()).keys()], [long], `cut at ${at}`);
  }
  await store.remove('a.test');
  assert.equal((await readdir(join(path, 'store'))).length, 1);
});
