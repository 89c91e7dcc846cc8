/** Two concurrent builds, each in its slot. Needs the debian base image. */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEBIAN, TestBuilder } from '../../test/harness/builder.ts';

test('a cancelled build does not affect the one beside it, which completes', async () => {
  const builder = await TestBuilder.start(2);
  try {
    const cancel = new AbortController();
    const both = { one: Promise.withResolvers<void>(), other: Promise.withResolvers<void>() };
    const lines = (run: string): string[] => [`FROM ${DEBIAN}`, `RUN ${run}`];
    const long = `${randomInt(100_000, 1_000_000)}`;
    const one = builder.failure(lines('echo one runs; sleep 600'), {
      environmentId: randomUUID(),
      signal: cancel.signal,
      onLog: (text) => /^one runs$/m.test(text) && both.one.resolve(),
    });
    const other = builder.build(lines(`echo other runs; sleep ${long} || echo whole`), {
      environmentId: randomUUID(),
      onLog: (text) => /^other runs$/m.test(text) && both.other.resolve(),
    });
    const ended = Promise.race([one, other]).then(() => assert.fail('one has ended before both ran'));
    await Promise.race([Promise.all([both.one.promise, both.other.promise]), ended]);
    cancel.abort();
    assert.equal((await one).code, 'ORK_CANCELLED');
    process.kill(pidOf('sleep', long));
    assert.match((await other).text, /^whole$/m);
  } finally {
    await builder.stop();
  }
});

/** The id on the host of the process with this argv. */
function pidOf(...argv: string[]): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const pid = pids.find((each) => commandLine(each) === argv.map((word) => `${word}\0`).join(''));
  return pid === undefined ? assert.fail(`${argv.join(' ')} does not run`) : Number(pid);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}
