import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeExit, KILLED, signalName } from './exit-code.ts';

test('an exit code names a signal only if it is 128 plus a signal number', () => {
  assert.equal(signalName(143), 'SIGTERM');
  assert.equal(signalName(KILLED), 'SIGKILL');
  assert.equal(signalName(0), null);
  assert.equal(signalName(1), null);
  assert.equal(signalName(255), null);
});

test('an exit is described by its code, and one by a signal by both', () => {
  assert.deepEqual([3, 137, 255, null].map(describeExit), [
    'exited with code 3',
    'was ended by signal SIGKILL (exit code 137)',
    'exited with code 255',
    'exited with code unknown',
  ]);
});
