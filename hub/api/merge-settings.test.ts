import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { Settings } from '../../protocol/job.ts';
import { mergeSettings } from './merge-settings.ts';

const before = Settings.parse({
  domains: [{ host: 'a.example.com' }],
  port: 3000,
  limits: { memoryMiB: 256, cpus: 2 },
  healthCheck: { kind: 'http', path: '/ready', startSeconds: 90 },
});

const refused = (patch: Record<string, unknown>): readonly string[] => {
  try {
    mergeSettings(before, patch);
  } catch (error) {
    assert.ok(error instanceof OrkestrError && error.code === 'ORK_INVALID');
    return error.evidence;
  }
  return assert.fail('It was taken.');
};

test('settings that a patch does not name are kept', () => {
  assert.deepEqual(mergeSettings(before, {}), before);
  assert.deepEqual(mergeSettings(before, { drainSeconds: 5 }), { ...before, drainSeconds: 5 });
});

test('nested objects are merged, lists are replaced', () => {
  const after = mergeSettings(before, { limits: { cpus: 1 }, domains: [{ host: 'b.example.com' }] });
  assert.deepEqual(after.limits, { ...before.limits, cpus: 1 });
  assert.deepEqual(after.domains, [{ host: 'b.example.com', pathPrefix: '/' }]);
});

test('null resets a setting to its default', () => {
  const after = mergeSettings(before, { port: null, limits: { memoryMiB: null } });
  assert.equal(after.port, undefined);
  assert.equal(after.limits.memoryMiB, 512);
  assert.equal(after.limits.cpus, 2);
});

test('changing the kind of health check keeps the timing and drops fields the new kind lacks', () => {
  const { healthCheck } = mergeSettings(before, { healthCheck: { kind: 'tcp' } });
  assert.deepEqual(healthCheck, {
    kind: 'tcp',
    startSeconds: 90,
    intervalSeconds: 0.5,
    timeoutSeconds: 5,
    successes: 2,
  });
});

test('an invalid value is refused with the path of its field', () => {
  assert.match(refused({ limits: { memoryMiB: 1 } })[0] ?? '', /^settings\.limits\.memoryMiB: /);
  assert.match(refused({ limits: 7 })[0] ?? '', /^settings\.limits: /);
  assert.match(refused({ dockerfile: '../../etc/passwd' })[0] ?? '', /^settings\.dockerfile: /);
});

test('a misspelt setting is refused, not ignored', () => {
  assert.deepEqual(refused({ limits: { memoryMb: 64 }, prot: 80 }), [
    'settings.limits.memoryMb: there is no such field',
    'settings.prot: there is no such field',
  ]);
});

test('a key named __proto__ does not pollute the prototype', () => {
  const patch = JSON.parse('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
  assert.ok(refused(patch).length > 0);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});
