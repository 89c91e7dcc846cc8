import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { runTests } from '../runner/test-files.ts';

for (const processes of ['together', 1] as const) {
  test(`a run of test files names the tests that failed, with their places (processes: ${processes})`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ork-failed-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'a.test.ts');
    const tests = ["test('works', () => undefined);", "test('fails', () => { throw new Error('no'); });"];
    writeFileSync(file, ["import { test } from 'node:test';", ...tests].join('\n'));
    // With it, the child's runner would report to this test's runner in a binary format instead of text.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const failure = await runTests([file], { processes, env, output: new PassThrough().resume() });
    assert.equal(failure?.reason, 'tests failed (exit code 1)');
    assert.equal(failure.tests.length, 1, failure.tests.join());
    assert.match(failure.tests[0] ?? '', /a\.test\.ts:3 fails$/);
  });
}
