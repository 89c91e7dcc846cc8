import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CertificateList, CertificateView } from '../../protocol/proxy-admin.ts';
import { failingCertificates } from './failing-certificates.ts';

const NOW = Date.UTC(2030, 0, 1);
const DAY = 86_400_000;
const at = (days: number): string => new Date(NOW + days * DAY).toISOString();

const view = (host: string, days: number, lastError: string | null = null): CertificateView => ({
  host,
  source: 'acme',
  issuer: 'a CA',
  notAfter: at(days),
  renewAt: null,
  lastError,
});
const missing = (host: string, reason: string): CertificateList['missing'][number] => ({ host, reason, retryAt: null });

const told = (list: CertificateList): unknown[] =>
  failingCertificates(list, NOW).map(({ host, error, notAfter }) => [host, error.code, error.message, notAfter]);

test('a domain without a certificate is reported with the reason, unless none has been requested yet', () => {
  assert.deepEqual(
    told({
      certificates: [],
      missing: [
        missing('a.test', 'ORK_ACME_DNS: it leads elsewhere'),
        missing('b.test', 'ORK_CERTIFICATE_NONE: it waits for its turn to be asked for.'),
        missing('c.test', 'the key does not fit'),
        missing('d.test', 'ORK_ACME_OF_TOMORROW: a new one'),
      ],
    }),
    [
      ['a.test', 'ORK_ACME_DNS', 'it leads elsewhere', null],
      ['c.test', 'ORK_CERTIFICATE_UNUSABLE', 'the key does not fit', null],
      ['d.test', 'ORK_CERTIFICATE_UNUSABLE', 'a new one', null],
    ],
  );
});

test('a certificate is reported two weeks before it expires, unless one that lasts longer is there', () => {
  assert.deepEqual(
    told({
      certificates: [
        view('ends.test', 13, 'ORK_ACME_LIMIT: too many'),
        view('silent.test', 13),
        view('renewed.test', 2),
        view('renewed.test', 80),
        view('good.test', 20, 'ORK_ACME_LIMIT: too many'),
      ],
      missing: [],
    }),
    [
      ['ends.test', 'ORK_ACME_LIMIT', 'too many', at(13)],
      [
        'silent.test',
        'ORK_CERTIFICATE_EXPIRED',
        `The certificate ends ${at(13)}, and nothing has renewed it yet.`,
        at(13),
      ],
    ],
  );
});

test('a certificate that is valid for a day is reported only if its renewal fails or is late', () => {
  const forADay = (host: string, renewAt: number, lastError: string | null = null): CertificateView => ({
    ...view(host, 0.3, lastError),
    renewAt: at(renewAt),
  });
  const certificates = [
    forADay('ahead.test', 0.2),
    forADay('due.test', -0.01),
    forADay('asked-for.test', -0.01, 'ORK_INTERRUPTED: The proxy ended in the middle of the order.'),
    forADay('late.test', -0.2),
    forADay('fails.test', -0.01, 'ORK_ACME_LIMIT: too many'),
  ];
  assert.deepEqual(
    failingCertificates({ certificates, missing: [] }, NOW).map(({ host, error }) => [host, error.code]),
    [
      ['late.test', 'ORK_CERTIFICATE_EXPIRED'],
      ['fails.test', 'ORK_ACME_LIMIT'],
    ],
  );
});

test('an old certificate of a name is not reported if a good wildcard serves the name', () => {
  const list = { certificates: [view('www.a.test', 2), view('*.a.test', 80), view('b.www.a.test', 2)], missing: [] };
  assert.deepEqual(
    failingCertificates(list, NOW).map(({ host }) => host),
    ['b.www.a.test'],
  );
});

test('the number of reported certificates and the length of each message are bounded', () => {
  const many = Array.from({ length: 300 }, (_, n) => missing(`${n}.test`, `ORK_ACME_DNS: ${'x'.repeat(5000)}`));
  const failing = failingCertificates({ certificates: [], missing: many }, NOW);
  assert.equal(failing.length, 100);
  assert.equal(failing[0]?.error.message.length, 500);
});
