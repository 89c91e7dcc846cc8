import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_BUFFERS, Outputs } from './outputs.ts';

test('any number of connections that write in one turn share few buffers, and all are flushed', async () => {
  const outputs = new Outputs();
  const buffers = new Set<Buffer>();
  let flushed = 0;
  for (let connection = 0; connection < 1000; connection += 1) {
    const buffer = outputs.take();
    buffers.add(buffer);
    outputs.atEnd(() => {
      flushed += 1;
      outputs.give(buffer);
    });
  }
  assert.equal(buffers.size, MOST_BUFFERS);
  assert.ok(flushed >= 1000 - MOST_BUFFERS);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(flushed, 1000);
});
