import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gathered } from './gathered.ts';

test('pieces of any size are returned as one, in order, and as copies', () => {
  const gathered = new Gathered();
  assert.equal(gathered.isEmpty, true);
  const piece = Buffer.from('abc');
  for (let at = 0; at < 1000; at += 1) gathered.add(piece);
  gathered.add(Buffer.from('end'));
  piece.fill('x');
  assert.equal(gathered.isEmpty, false);
  assert.equal(gathered.take().toString(), `${'abc'.repeat(1000)}end`);
  assert.equal(gathered.isEmpty, true);
  assert.equal(gathered.take().length, 0);
});
