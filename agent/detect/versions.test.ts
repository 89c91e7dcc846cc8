import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { admits } from './versions.ts';

describe('version ranges', () => {
  const ADMITTED = [
    '>=18',
    '24',
    '24.x',
    'v24',
    '^24.1.0',
    '~24.1',
    '20 || >=22',
    '>=20.0.0 <25',
    '18 - 24',
    '*',
    '',
    'lts/*',
    '> 20',
  ];
  for (const range of ADMITTED) test(`24 satisfies "${range}"`, () => assert.equal(admits(range, '24'), true));

  const REFUSED = ['^18', '<24', '>=26', '18 || 20', '20.x', '~22.1', '16 - 20', '>24'];
  for (const range of REFUSED) test(`24 does not satisfy "${range}"`, () => assert.equal(admits(range, '24'), false));

  test('follow PEP 440 for Python', () => {
    assert.equal(admits('>=3.9,<4', '3.11'), true);
    assert.equal(admits('~=3.9', '3.11'), true);
    assert.equal(admits('>=3.12', '3.11'), false);
    assert.equal(admits('<3.11', '3.11'), false);
    assert.equal(admits('<3.11.5', '3.11'), true);
  });
});
