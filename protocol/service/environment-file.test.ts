import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEnvironmentFile } from './environment-file.ts';
import { CASES } from './test-environment-file.ts';

for (const { what, text, settings } of CASES) {
  test(`a settings file is read as systemd reads it: ${what}`, () => {
    assert.deepEqual(Object.fromEntries(parseEnvironmentFile(text)), settings);
  });
}

test('a name with a meaning in JavaScript is an ordinary name', () => {
  assert.deepEqual(
    [...parseEnvironmentFile('__proto__=x\nconstructor=y')],
    [
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ],
  );
});
