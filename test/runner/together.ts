/**
 * Runs test files in this one process, one after the other: `node together.ts FILE …`. Each is a suite of its own: what
 * `node --test --test-isolation=none` does instead is to run the hooks of every file around the tests of all.
 */
import { resolve } from 'node:path';
import { describe } from 'node:test';
import { pathToFileURL } from 'node:url';

for (const file of process.argv.slice(2)) {
  void describe(file, async () => {
    await import(pathToFileURL(resolve(file)).href);
  });
}
