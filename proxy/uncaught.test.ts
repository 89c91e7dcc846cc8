/** Each case runs in its own process: otherwise the test runner would catch the errors. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MODULE = new URL('uncaught.ts', import.meta.url).href;

/** @param minutes the age of the process @param throws how many errors are thrown at once */
async function told(minutes: number, throws: number): Promise<string[]> {
  const program = `
    import { surviveUncaught, uncaughtErrors } from '${MODULE}';
    const now = performance.now.bind(performance);
    performance.now = () => now() + ${minutes * 60_000};
    const log = { error: ({ err, suppressedBefore }, text) => console.log(err.message, text, suppressedBefore) };
    surviveUncaught(log, async () => console.log('handed over'));
    for (let at = 0; at < ${throws}; at += 1) setImmediate(() => { throw new Error('oops'); });
    // After them, however slow this process is.
    setImmediate(() => setTimeout(() => console.log('still here', uncaughtErrors()), 20));
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  return stdout.trim().split('\n');
}

test('a process keeps serving after uncaught errors, and logs one of several at once', async () => {
  assert.deepEqual(await told(0, 3), ['oops nobody caught this; serving on 0', 'still here 3']);
});

test('a process that has served for a while hands over, once', async () => {
  assert.deepEqual(await told(11, 2), ['oops nobody caught this; serving on 0', 'handed over', 'still here 2']);
});

test('a failed hand-over is tried again at the next error', async () => {
  const program = `
    import { surviveUncaught } from '${MODULE}';
    let now = 11 * 60_000;
    performance.now = () => (now += 2_000);
    const log = { error: () => undefined };
    const fail = () => setTimeout(() => { throw new Error('oops'); }, 20);
    let tries = 0;
    surviveUncaught(log, async () => {
      console.log('tried');
      if ((tries += 1) === 1) fail();
      throw new Error('no memory');
    });
    fail();
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  assert.equal(stdout, 'tried\ntried\n');
});
