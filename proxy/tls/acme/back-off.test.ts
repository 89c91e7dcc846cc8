import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ErrorCode } from '../../../protocol/error-catalogue.ts';
import { LONGEST_WAIT_MS, waitAfter, waitAfterInterruption } from './back-off.ts';
import { renewAtOf } from './renewal.ts';
import { readRetryAfter } from './transport.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

test('a failed validation is tried at most four times in an hour, for any random draw', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (draws) => {
      let at = 0;
      let tries = 0;
      for (const random of draws) {
        tries += 1;
        at += waitAfter('ORK_ACME_CHALLENGE', tries, null, random);
        if (at >= 60 * MINUTE_MS) break;
      }
      return tries <= 4;
    }),
  );
});

test('waits grow, stay within their bounds, and are never shorter than the CA asked for', () => {
  const codes = fc.constantFrom(...ErrorCode.options);
  const asked = fc.option(fc.nat(LONGEST_WAIT_MS));
  fc.assert(
    fc.property(codes, fc.integer({ min: 1, max: 1_000_000 }), asked, (code, tries, retryAfterMs) => {
      const wait = waitAfter(code, tries, retryAfterMs, 0.5);
      assert.ok(wait >= MINUTE_MS && wait <= LONGEST_WAIT_MS);
      assert.ok(wait >= (retryAfterMs ?? 0));
      assert.ok(waitAfter(code, tries + 1, retryAfterMs, 0.5) >= wait);
    }),
  );
  assert.equal(waitAfterInterruption(1), MINUTE_MS);
  assert.equal(waitAfterInterruption(100), 60 * MINUTE_MS);
});

test('a full disk delays a host only briefly, even after many tries', () => {
  assert.ok(waitAfter('ORK_DISK_FULL', 100, null, 1) <= 11 * MINUTE_MS);
});

test('Retry-After is read as seconds or a date, and nothing else', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(readRetryAfter('120', now), 120_000);
  assert.equal(readRetryAfter('Thu, 01 Jan 2026 00:02:00 GMT', now), 120_000);
  assert.equal(readRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  assert.equal(readRetryAfter('99999999999999', now), LONGEST_WAIT_MS);
  for (const value of [undefined, '', 'soon', '-']) assert.equal(readRetryAfter(value, now), null, value);
});

const certificate = (days: number, fingerprint = 'AA:BB') => ({
  source: 'acme' as const,
  hosts: ['a.test'],
  chain: '',
  privateKey: '',
  issuer: '',
  ocspUrl: null,
  fingerprint,
  notBefore: 0,
  notAfter: days * DAY_MS,
});

test('renewal is due shortly before two thirds of the lifetime, at a different time for each certificate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), fc.string(), (days, fingerprint) => {
      const share = renewAtOf(certificate(days, fingerprint), null, 0) / (days * DAY_MS);
      assert.ok(share > 2 / 3 - 0.051 && share <= 2 / 3, String(share));
    }),
  );
  const times = Array.from({ length: 100 }, (_, index) => renewAtOf(certificate(90, String(index)), null, 0));
  assert.ok(new Set(times).size > 90);
  assert.equal(
    renewAtOf(certificate(90), null, 0),
    renewAtOf(certificate(90), null, DAY_MS),
    'the same after a restart',
  );
});

test("the CA's window decides, but leaves a tenth of the lifetime, and a day passes after the issue", () => {
  const at = (days: number): string => new Date(days * DAY_MS).toISOString();
  const issue = (start: number, end: number, issued = 0) => ({
    issuedAt: at(issued),
    window: { start: at(start), end: at(end) },
  });
  const day = (window: ReturnType<typeof issue>) => renewAtOf(certificate(90), window, 45 * DAY_MS) / DAY_MS;
  assert.ok(day(issue(20, 22)) >= 20 && day(issue(20, 22)) <= 22);
  assert.equal(day(issue(200, 201)), 81);
  assert.equal(day(issue(-10, -9)), 1, 'a revocation: now, but a day after the issue');
  assert.equal(day(issue(-10, -9, 30)), 31);
  // With our clock far ahead, the next certificate would be due at once, and so on.
  const ahead = { issuedAt: at(80), window: null };
  assert.equal(renewAtOf(certificate(90), ahead, 80 * DAY_MS) / DAY_MS, 110);
  // Once the clock is set right, the certificate must not end before it is due.
  assert.ok(renewAtOf(certificate(90), ahead, DAY_MS) / DAY_MS < 61);
});
