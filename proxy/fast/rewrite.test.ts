import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RequestIds } from '../http/request-ids.ts';
import { ResponseHead } from '../target/response-head.ts';
import { RequestHead } from './head.ts';
import { OriginLines } from './origin.ts';
import { compactResponseHead, endHead, writeRequestHead } from './rewrite.ts';

const HEADROOM = 64;

const passing = fc.constantFrom(
  'A: 1',
  'Content-Type: text/plain',
  'Set-Cookie: a=b',
  'X-Long: '.padEnd(300, 'x'),
  'Date:',
);
const cut = fc.constantFrom(
  'Connection: keep-alive',
  'Keep-Alive: timeout=5',
  'Proxy-Authenticate: x',
  'Upgrade: h2c',
  'TE: x',
);

test('a response keeps exactly its end-to-end fields, in order and before its body, whatever is removed or added', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(passing, cut), { maxLength: 30 }),
      fc.boolean(),
      fc.constantFrom('1.0', '1.1'),
      (lines, close, version) => {
        const text = `HTTP/${version} 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
        const bytes = Buffer.concat([Buffer.alloc(HEADROOM), Buffer.from(`${text}body`), Buffer.alloc(1)]);
        const head = new ResponseHead();
        assert.equal(head.read(bytes, HEADROOM, bytes.length - 1, false), HEADROOM + text.length);
        const start = compactResponseHead(head, close ? Buffer.from('Connection: close\r\n') : null);
        const kept = lines.filter((line) => !/^(?:connection|keep-alive|proxy-|upgrade|te):?/i.test(line));
        const added = close ? ['Connection: close'] : [];
        const expected = `HTTP/1.1 200 OK\r\n${[...kept, ...added].map((line) => `${line}\r\n`).join('')}\r\nbody`;
        assert.equal(bytes.toString('latin1', start, bytes.length - 1), expected);
      },
    ),
  );
});

test("a target gets the end-to-end fields unchanged, followed by the proxy's own fields", () => {
  const sent =
    'GET /a?b HTTP/1.1\r\nHost: App.test:80\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6\r\nCookie: a\r\nx_y: 1\r\nConnection: close\r\nX-Real-IP: 1\r\nAccept: */*\r\n\r\n';
  const bytes = Buffer.from(`${sent}\0`, 'latin1');
  const head = new RequestHead();
  assert.equal(head.read(bytes, 0, sent.length, 16_384), 'fast');
  assert.equal(head.close, true);
  const origin = new OriginLines();
  origin.set({ address: '2001:db8::1', secure: true }, 'App.test:80');
  const out = Buffer.alloc(2000);
  const named = writeRequestHead(bytes, head, origin, out);
  const length = endHead(out, named + out.write('id-1', named));
  assert.equal(
    out.toString('latin1', 0, length),
    'GET /a?b HTTP/1.1\r\nHost: App.test:80\r\nCookie: a\r\nAccept: */*\r\nx-forwarded-for: 2001:db8::1\r\nx-forwarded-proto: https\r\nx-forwarded-host: App.test:80\r\nx-real-ip: 2001:db8::1\r\nforwarded: for="[2001:db8::1]";host="App.test:80";proto=https\r\nx-request-id: id-1\r\n\r\n',
  );
});

test('request ids of one process are unique, and their bytes match their text', () => {
  const ids = new RequestIds();
  const out = Buffer.alloc(40);
  const seen = new Set<string>();
  for (let round = 0; round < 300; round += 1) {
    const id = ids.next();
    const end = ids.write(id, out, 3);
    assert.equal(out.toString('latin1', 3, end), ids.text(id));
    assert.match(ids.text(id), /^[0-9a-f]{28}$/);
    seen.add(ids.text(id));
  }
  assert.equal(seen.size, 300);
});
