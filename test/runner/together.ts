/**
 * Runs test files in this process, one after the other: `node together.ts FILE …`. Each is a suite of its own, unlike
 * with `node --test --test-isolation=none`, which runs the hooks of every file around the tests of all files.
 */
import { resolve } from 'node:path';
import { describe } from 'node:test';
import { pathToFileURL } from 'node:url';

for (const file of process.argv.slice(2)) {
  void describe(file, async () => {
    await import(pathToFileURL(resolve(file)).href);
  });
}
