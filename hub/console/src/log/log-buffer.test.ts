import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogBuffer } from './log-buffer.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('lines are returned once complete, and the open line separately', () => {
  const log = new LogBuffer();
  log.append(base64('one\ntw'), 0);
  assert.deepEqual([log.since(0), log.open, log.next], [['one'], 'tw', 1]);
  log.append(base64('o\n10%\r20%'), 6);
  assert.deepEqual([log.since(1), log.open], [['two'], '20%']);
  log.end();
  assert.deepEqual([log.since(2), log.open], [['20%'], '']);
});

test('only the last lines are kept, and line numbers continue', () => {
  const log = new LogBuffer(3);
  log.append(base64('1\n2\n3\n4\n5\n'), 0);
  assert.deepEqual([log.since(0), log.first, log.next], [['3', '4', '5'], 2, 5]);
  assert.deepEqual(log.since(4), ['5']);
  assert.deepEqual(log.since(5), []);
});

test('a stream that restarts after a reconnect adds no duplicates', () => {
  const log = new LogBuffer();
  log.append(base64('one\ntwo\n'), 0);
  log.append(base64('one\n'), 0);
  log.append(base64('two\nthree\n'), 4);
  assert.deepEqual(log.since(0), ['one', 'two', 'three']);
  assert.equal(log.bytes, 14);
});

test('ending twice adds no line', () => {
  const log = new LogBuffer();
  log.append(base64('last'), 0);
  log.end();
  log.end();
  assert.deepEqual(log.since(0), ['last']);
});

test('fewer lines are kept when they are long, so that a browser can show them', () => {
  const log = new LogBuffer();
  const line = 'x'.repeat(10_000);
  for (let n = 0; n < 300; n += 1) log.append(base64(`${line}\n`), n * 10_001);
  assert.deepEqual([log.first, log.since(0).length], [100, 200]);
});

test('complete lines are kept in the same way as lines assembled from bytes', () => {
  const log = new LogBuffer(2);
  log.add(['one', 'two']);
  log.add(['three']);
  assert.deepEqual([log.since(0), log.first, log.next], [['two', 'three'], 1, 3]);
});
