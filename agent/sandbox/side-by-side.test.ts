/** Two concurrent builds, each in its slot. Needs the debian base image. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { DEBIAN, TestBuilder } from '../../test/harness/builder.ts';

test('a cancelled build does not affect the one beside it, which completes', async () => {
  const builder = await TestBuilder.start(2);
  try {
    const cancel = new AbortController();
    const both = { one: Promise.withResolvers<void>(), other: Promise.withResolvers<void>() };
    const lines = (run: string): string[] => [`FROM ${DEBIAN}`, `RUN ${run}`];
    const one = builder.failure(lines('echo one runs; sleep 600'), {
      environmentId: randomUUID(),
      signal: cancel.signal,
      onLog: (text) => /^one runs$/m.test(text) && both.one.resolve(),
    });
    const other = builder.build(lines('echo other runs; sleep 20; echo whole'), {
      environmentId: randomUUID(),
      onLog: (text) => /^other runs$/m.test(text) && both.other.resolve(),
    });
    const ended = Promise.race([one, other]).then(() => assert.fail('one has ended before both ran'));
    await Promise.race([Promise.all([both.one.promise, both.other.promise]), ended]);
    cancel.abort();
    assert.equal((await one).code, 'ORK_CANCELLED');
    assert.match((await other).text, /^whole$/m);
  } finally {
    await builder.stop();
  }
});
