import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RequestReader } from '../fast/test-llhttp.ts';
import { Field } from './field.ts';
import { Origin } from './origin.ts';
import { http1Head, http2Head } from './request-head.ts';
import { Request } from './request.ts';
import { FieldList } from './wire/hpack-decoder.ts';

const LIMITS = { headBytes: 16_384, headerFields: 100 };
const CLIENT = { address: '192.0.2.1', secure: true };
const ORIGIN = new Origin(CLIENT);

/** @param raw alternating names and values */
function requestOf(raw: readonly string[], hasBody: boolean): Request {
  const fields = new FieldList(4 * LIMITS.headBytes);
  for (let index = 0; index + 1 < raw.length; index += 2) fields.add(new Field(raw[index] ?? '', raw[index + 1] ?? ''));
  return new Request(fields, hasBody, ORIGIN, LIMITS);
}
const PSEUDO = [':method', 'GET', ':scheme', 'https', ':authority', 'app.test', ':path', '/'];

/** Texts with characters on which parsers stumble. */
const text = fc
  .array(
    fc.constantFrom(...'ab:-_ \t\r\n\0,;="\x7f\x80\xff/HTTP1.?#%'.split(''), '\r\n', '\r\n\r\n', 'GET / HTTP/1.1\r\n'),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''));
const name = fc.oneof(
  text,
  fc.constantFrom('x-a', 'x_b', 'host', 'cookie', 'content-length', 'te', 'transfer-encoding', 'connection', 'expect'),
  fc.constantFrom(
    'x-forwarded-for',
    'forwarded',
    'x-real-ip',
    'proxy',
    'upgrade',
    'keep-alive',
    'trailer',
    'x-request-id',
  ),
);
const value = fc.oneof(text, fc.constantFrom('', '5', '0', 'trailers', 'chunked', 'app.test', 'b.test', 'a=1'));
/** Often few: each hostile field may cause the whole request to be refused. */
const fields = fc.oneof(
  fc.array(fc.tuple(name, value), { maxLength: 2 }),
  fc.array(fc.tuple(name, value), { maxLength: 8 }),
);
/** Mostly valid: otherwise hardly any request would reach the target. */
const usual = <T>(good: fc.Arbitrary<T>, ...hostile: fc.Arbitrary<T>[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: good }, ...hostile.map((arbitrary) => ({ weight: 1, arbitrary })));
const pseudo = fc.record({
  method: usual(fc.constantFrom('GET', 'POST', 'DELETE'), text),
  path: usual(
    fc.constantFrom('/', '/a?b', '/%2e%2e//x'),
    text,
    text.map((one) => `/${one}`),
  ),
  authority: usual(fc.constantFrom('app.test', 'app.test:443'), text),
});

test('a request accepted with hostile fields reaches the target as one request with exactly these fields', async () => {
  const reader = new RequestReader();
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(pseudo, fields, fc.boolean(), async ({ method, path, authority }, pairs, hasBody) => {
      const raw = [':method', method, ':scheme', 'https', ':authority', authority, ':path', path, ...pairs.flat()];
      const request = requestOf(raw, hasBody);
      if (request.isMalformed || request.failure !== null || request.protocol !== null) return;
      // node's parser knows no other methods.
      if (!['GET', 'POST', 'DELETE'].includes(request.method)) return;
      taken += 1;
      const head = http1Head(request, 'id');
      const body = hasBody ? (request.contentLength === null ? '0\r\n\r\n' : 'x'.repeat(request.contentLength)) : '';
      const { messages, error } = await reader.read(Buffer.from(head + body, 'latin1'));
      assert.equal(error, null, head);
      assert.equal(messages.length, 1, head);
      const [message] = messages;
      assert.deepEqual([message?.method, message?.target, message?.complete], [request.method, request.target, true]);
      const names = (message?.fields ?? []).filter((_, index) => index % 2 === 0);
      const lines = head.split('\r\n').slice(1, -2);
      assert.deepEqual(
        names,
        lines.map((line) => line.slice(0, line.indexOf(':'))),
      );
      assert.equal(names.filter((one) => one === 'host').length, 1);
      assert.ok(names.filter((one) => ['content-length', 'transfer-encoding'].includes(one)).length <= 1);
      assert.ok(names.every((one) => !one.includes('_') && one !== 'proxy' && one !== 'connection'));
    }),
    { numRuns: 2000 },
  );
  assert.ok(taken > 100, `only ${taken} were taken`);
});

const read = (raw: readonly string[], hasBody = false): Request => requestOf([...PSEUDO, ...raw], hasBody);

test('cookies become one field, te and content-length are kept, and a POST without body has content-length 0', () => {
  const request = read(['cookie', 'a=1', 'te', 'trailers', 'cookie', 'b=2', 'content-length', '7'], true);
  const head = http1Head(request, 'id');
  assert.match(head, /\r\ncookie: a=1; b=2\r\n/);
  assert.match(head, /\r\nte: trailers\r\n/);
  assert.match(head, /\r\ncontent-length: 7\r\n/);
  const post = requestOf([':method', 'POST', ...PSEUDO.slice(2)], false);
  assert.match(http1Head(post, 'id'), /\r\ncontent-length: 0\r\n/);
  assert.doesNotMatch(http1Head(read([]), 'id'), /content-length/);
});

test('for an HTTP/2 app the pseudo-header fields come first and host is not repeated', () => {
  const head = http2Head(read(['x-a', 'b', 'te', 'trailers']), 'id');
  assert.deepEqual(head.slice(0, 8), [':method', 'GET', ':scheme', 'http', ':authority', 'app.test', ':path', '/']);
  assert.ok(!head.includes('host'));
  assert.equal(head[head.indexOf('x-forwarded-for') + 1], '192.0.2.1');
  assert.equal(head[head.indexOf('te') + 1], 'trailers');
});

test(':authority and host must agree; either alone is enough', () => {
  assert.equal(read(['host', 'APP.test']).failure, null);
  assert.notEqual(read(['host', 'b.test']).failure, null);
  const hostOnly = requestOf([':method', 'GET', ':scheme', 'https', ':path', '/', 'host', 'app.test'], false);
  assert.deepEqual([hostOnly.failure, hostOnly.authority, hostOnly.host], [null, 'app.test', 'app.test']);
});
