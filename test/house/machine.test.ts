import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEST_PARTS } from '../runner/lanes.ts';
import { isOfMachine, testFiles } from '../runner/test-files.ts';
import { importsOf, isTest, readSource } from './sources.ts';

/** What only tests of the machine name: its Docker Engine, its network namespaces, its firewall. */
const OF_THE_MACHINE =
  /socketPath: '\/var\/run\/docker\.sock'|\bDOCKER_SOCKET\b|\['docker', '(?:run|exec)'|\/run\/netns|makeFirewall|ensureEngine/;

test('a unit test that uses the Docker Engine or the network of the machine is named *.machine.test.ts, and no other is', () => {
  const files = testFiles([TEST_PARTS.unit]);
  assert.deepEqual(files.filter(isOfMachine), files.filter(usesMachine));
});

/** Also by way of helpers of tests. What our programs do by themselves does not count: most tests replace it. */
function usesMachine(file: string): boolean {
  const looked = new Set([file]);
  for (const each of looked) {
    if (OF_THE_MACHINE.test(readSource(each))) return true;
    for (const { to, ours, typeOnly } of importsOf(each)) {
      if (ours && !typeOnly && (isTest(to) || to.startsWith('test/'))) looked.add(to);
    }
  }
  return false;
}
