import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { withoutSecrets } from './secrets.ts';

test('an error keeps its code and loses the secrets of its message, evidence and stack', () => {
  const error = new OrkestrError('ORK_APP_EXITED', 'The app said: hunter2hunter2.', {
    evidence: ['app: password=hunter2hunter2', 'exit code: 3'],
  });
  const clean = withoutSecrets(error, ['hunter2hunter2']);
  assert.equal(clean.code, 'ORK_APP_EXITED');
  assert.equal(clean.message, 'The app said: [redacted].');
  assert.deepEqual(clean.evidence, ['app: password=[redacted]', 'exit code: 3']);
  assert.ok(clean.stack?.includes('secrets.test.ts'), 'the stack still says where it was thrown');
  assert.ok(!clean.stack?.includes('hunter2'));
});

test('whatever else was thrown becomes an internal error without the secrets in its words', () => {
  const clean = withoutSecrets(new TypeError('cannot read hunter2hunter2'), ['hunter2hunter2']);
  assert.equal(clean.code, 'ORK_INTERNAL');
  assert.equal(clean.message, 'cannot read [redacted]');
});
