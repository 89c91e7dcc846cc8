import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LogLines, MAX_LINE, freshBytes } from './log-lines.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const linesOf = (...parts: string[]): string[] => {
  const lines = new LogLines();
  return [...parts.flatMap((part) => lines.push(bytes(part))), ...lines.end()];
};

test('lines end with LF or CRLF; a last line without either is a line too', () => {
  assert.deepEqual(linesOf('one\ntwo\r\n\nthree'), ['one', 'two', '', 'three']);
  assert.deepEqual(linesOf('done\n'), ['done']);
});

test('a progress bar leaves only its last state', () => {
  assert.deepEqual(linesOf('10%\r50%\r100%\nnext\n'), ['100%', 'next']);
});

test('a trailing carriage return keeps the line until something follows', () => {
  const lines = new LogLines();
  lines.push(bytes('working 10%\r'));
  assert.equal(lines.open, 'working 10%');
  lines.push(bytes('working 20%'));
  assert.equal(lines.open, 'working 20%');
  assert.deepEqual(lines.push(bytes('\r\n')), ['working 20%']);
});

test('a character split between two chunks is decoded as one', () => {
  const all = bytes('grüße ✓\n');
  const lines = new LogLines();
  const found = [...all].flatMap((byte) => lines.push(Uint8Array.of(byte)));
  assert.deepEqual(found, ['grüße ✓']);
});

test('the lines are the same however the bytes are cut into chunks', () => {
  const logText = fc.array(fc.constantFrom('a', 'bc', 'ü', '\n', '\r', '\r\n', ' '), { maxLength: 40 });
  fc.assert(
    fc.property(logText, fc.array(fc.nat(50), { maxLength: 6 }), (pieces, cuts) => {
      const all = bytes(pieces.join(''));
      const edges = [0, ...cuts.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length];
      const chunked = new LogLines();
      const found = edges.slice(1).flatMap((edge, index) => chunked.push(all.subarray(edges[index], edge)));
      assert.deepEqual([...found, ...chunked.end()], linesOf(pieces.join('')));
    }),
  );
});

test('an endless line is cut with a marker and uses bounded memory', () => {
  const lines = new LogLines();
  for (let i = 0; i < 100; i++) lines.push(bytes('x'.repeat(1000)));
  assert.equal(lines.open.length, MAX_LINE);
  assert.match(lines.open, /\[line cut\]$/);
});

test('bytes that were already seen are skipped', () => {
  const data = Buffer.from('hello').toString('base64');
  const fresh = (offset: number, seen: number): string => Buffer.from(freshBytes(data, offset, seen)).toString();
  assert.equal(fresh(0, 0), 'hello');
  assert.equal(fresh(10, 12), 'llo');
  assert.equal(fresh(10, 15), '');
  assert.equal(fresh(10, 40), '');
});
