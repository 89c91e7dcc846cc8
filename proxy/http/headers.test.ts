import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { givenRequestId, passedTrailers, requestHeaders, responseHeaders } from './headers.ts';

const origin = { address: '10.0.0.1', protocol: 'http', authority: 'a.test', requestId: 'id' } as const;
const name = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const value = fc.stringMatching(/^[\x21-\x7e]{0,12}$/);
const known = fc.constantFrom(
  'Connection',
  'Host',
  'Content-Length',
  'X-Forwarded-For',
  'x-real-ip',
  'TE',
  'constructor',
  '__proto__',
);
const raw = fc
  .array(fc.tuple(fc.oneof(name, known), fc.oneof(value, known)), { maxLength: 20 })
  .map((all) => all.flat());

test("whatever a client sends, host and origin fields are the proxy's, and no name contains an underscore", () => {
  fc.assert(
    fc.property(raw, (rawHeaders) => {
      const headers = requestHeaders(rawHeaders, origin, { upgrade: false });
      assert.equal(headers.host, 'a.test');
      assert.equal(headers['x-forwarded-for'], '10.0.0.1');
      assert.equal(headers['x-real-ip'], '10.0.0.1');
      for (const key of Object.keys(headers)) assert.doesNotMatch(key, /_|^connection$|^keep-alive$|[A-Z]/);
      assert.equal(Object.getPrototypeOf(headers), Object.prototype);
    }),
  );
});

test('Content-Length is never dropped, whatever Connection names', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('content-length', 'Content-Length', 'close', 'x'), { maxLength: 5 }),
      (named) => {
        const headers = requestHeaders(['Connection', named.join(' , '), 'Content-Length', '5'], origin, {
          upgrade: false,
        });
        assert.equal(headers['content-length'], '5');
        assert.ok(
          responseHeaders(['Connection', named.join(','), 'Content-Length', '5'], 200).includes('Content-Length'),
        );
      },
    ),
  );
});

test('a response keeps case, order and repetition of its end-to-end fields', () => {
  const sent = [
    'Set-Cookie',
    'a=1',
    'set-cookie',
    'b=2',
    'Connection',
    'X-A',
    'X-A',
    '1',
    'Transfer-Encoding',
    'chunked',
    'X_B',
    '2',
  ];
  assert.deepEqual(responseHeaders(sent, 200), ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X_B', '2']);
});

test('an IPv6 client is quoted in Forwarded (RFC 7239 section 6)', () => {
  const headers = requestHeaders([], { ...origin, address: '2001:db8::1' }, { upgrade: false });
  assert.equal(headers.forwarded, 'for="[2001:db8::1]";host="a.test";proto=http');
});

test('trailers that would affect routing or framing are dropped', () => {
  assert.deepEqual(passedTrailers(['X-Sum', '1', 'Host', 'x', 'x-forwarded-for', '1', 'A_B', '1', 'Cookie', 'x']), [
    ['X-Sum', '1'],
  ]);
});

test("a client's request id is kept only if it is safe in a log", () => {
  assert.deepEqual(['abc-1', 'a b', '', 'x'.repeat(129), undefined, ['a']].map(givenRequestId), [
    'abc-1',
    null,
    null,
    null,
    null,
    null,
  ]);
});
