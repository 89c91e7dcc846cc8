import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subnetAt } from './network.ts';

test('subnets of four addresses fill 198.18.0.0/16 and do not leave it', () => {
  assert.deepEqual(
    [0, 1, 63, 64, 16_383].map((index) => subnetAt(index)),
    ['198.18.0.0', '198.18.0.4', '198.18.0.252', '198.18.1.0', '198.18.255.252'],
  );
});
