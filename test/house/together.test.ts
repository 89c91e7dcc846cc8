import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { runTests } from '../runner/test-files.ts';

test('when test files run in one process, the hooks of each apply only to its own tests', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ork-together-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = ['first', 'second'].map((name) => join(folder, `${name}.test.ts`));
  for (const file of files) {
    const hook = "afterEach((t) => console.log(`${t.name} of ${file}`)); test('a test', () => undefined);";
    writeFileSync(file, `import { afterEach, test } from 'node:test'; const file = '${file}'; ${hook}`);
  }
  const output = new PassThrough();
  // With it, the child's runner would report to this test's runner in a binary format instead of text.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  assert.equal(await runTests(files, { processes: 'together', env, output }), null);
  const calls = (output.read() as Buffer).toString().match(/^a test of .*$/gm);
  assert.deepEqual(
    calls,
    files.map((file) => `a test of ${file}`),
  );
});
