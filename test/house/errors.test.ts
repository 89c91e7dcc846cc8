import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../protocol/error-catalogue.ts';
import { ERRORS_FILE, errorsDocument } from './errors-table.ts';
import { readSource, sourceFiles } from './sources.ts';

test('docs/errors.md lists exactly the codes of the catalogue, with its text', () => {
  const documented = [...readSource(ERRORS_FILE).matchAll(/^\| `(ORK_[A-Z_]+)`/gm)].map(([, code]) => code);
  assert.deepEqual(documented, Object.keys(ERRORS));
  assert.equal(readSource(ERRORS_FILE), errorsDocument(), 'run: node test/house/errors-table.ts');
});

test('every error code in the code is in the catalogue', () => {
  const known = new Set(Object.keys(ERRORS));
  const used = sourceFiles().flatMap((file) =>
    [...readSource(file).matchAll(/['"`](ORK_[A-Z_]+)['"`]/g)].map(([, code]) => ({ file, code: code ?? '' })),
  );
  assert.deepEqual(
    used.filter(({ code }) => !known.has(code) && !code.startsWith('ORK_TEST_')),
    [],
  );
});
