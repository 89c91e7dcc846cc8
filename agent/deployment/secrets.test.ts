import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { cutText } from '../lib/cut.ts';
import { makeRedactor } from '../lib/redactor.ts';
import { secretsOf, withoutSecrets } from './secrets.ts';
import { secondJob } from './test-job.ts';

test('an error keeps its code, and secrets are removed from its message, evidence and stack', () => {
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

test('any other thrown value becomes an internal error without secrets in its message', () => {
  const clean = withoutSecrets(new TypeError('cannot read hunter2hunter2'), ['hunter2hunter2']);
  assert.equal(clean.code, 'ORK_INTERNAL');
  assert.equal(clean.message, 'cannot read [redacted]');
});

test('every secret of a job is redacted, verbatim and in the encodings that programs use', () => {
  const job = {
    ...secondJob({ env: { APP: 'variable "quoted" value' } }),
    buildSecrets: { KEY: 'build-secret-é/+ value', PEM: 'first line of the key\nsecond line of the key\n' },
    registries: [{ host: 'registry.example.com', username: 'ada', password: 'registry-password' }],
  };
  const source = { ...job.source, auth: { username: 'x', token: 'git-token-1234' } };
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const redactor = makeRedactor(secretsOf({ ...job, source }));
  for (const text of [
    'variable "quoted" value',
    JSON.stringify({ APP: 'variable "quoted" value' }),
    'build-secret-é/+ value',
    encodeURIComponent('build-secret-é/+ value'),
    base64('build-secret-é/+ value'),
    'second line of the key',
    'registry-password',
    base64('ada:registry-password'),
    base64('x:git-token-1234'),
  ]) {
    const shown = Buffer.concat([redactor.push(Buffer.from(`${text}\n`)), redactor.end()]).toString();
    assert.match(shown, /^[{"AP:]*\[redacted\]["}]*\n$/, text);
  }
});

test('a secret that is cut off at the end of a shown line is redacted too', () => {
  const token = Array.from({ length: 600 }, (_, at) => at.toString(36)).join('.');
  const said = cutText(`Authorization: Bearer ${token} refused`, 500);
  const error = new OrkestrError('ORK_BUILD_FAILED', `Its last line: ${said}`, { evidence: [said, `cut: ${token}`] });
  const clean = withoutSecrets(error, [token]);
  assert.equal(clean.message, 'Its last line: Authorization: Bearer [redacted]…');
  assert.deepEqual(clean.evidence, ['Authorization: Bearer [redacted]…', 'cut: [redacted]']);
  const twice = new OrkestrError('ORK_APP_EXITED', `Its last error: ${said}; its last line: ${said}`);
  assert.equal(
    withoutSecrets(twice, [token]).message,
    'Its last error: Authorization: Bearer [redacted]…; its last line: Authorization: Bearer [redacted]…',
  );
  // Words of an ordinary line that was not cut stay, and so do a few letters that a secret begins with.
  const usual = new OrkestrError('ORK_BUILD_FAILED', 'listening on postgres', { evidence: ['connecting to post…'] });
  const shown = withoutSecrets(usual, ['postgres://user:password@host']);
  assert.deepEqual([shown.message, ...shown.evidence], ['listening on postgres', 'connecting to post…']);
});

test('an error that exceeds the size of a report is redacted before it is cut', () => {
  const token = 'token-'.repeat(100);
  const error = new OrkestrError('ORK_BUILD_FAILED', `${'x'.repeat(3990)}${token}`, {
    evidence: [`${'x'.repeat(1990)}${token}`],
  });
  const { message, evidence } = toErrorReport(withoutSecrets(error, [token]));
  assert.doesNotMatch(`${message} ${evidence.join('')}`, /token/);
});
