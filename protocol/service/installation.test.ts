import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { isInstalled, withHostSettings } from './installation.ts';

const execPath = '/opt/orkestr/releases/1.0.0/bin/node';

function hostWith(t: TestContext, text: string): { readonly folder: string; readonly file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ork-settings-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'agent.env');
  writeFileSync(file, text);
  return { folder, file };
}

test('a program of an installation uses the settings of its service; its own environment takes precedence', (t) => {
  const { folder } = hostWith(t, '# mine\nORKESTR_AGENT_STATE="/srv/agent"\nORKESTR_LOG_LEVEL=debug\nPATH=/evil\n');
  const env = { ORKESTR_LOG_LEVEL: 'warn', PATH: '/bin' };
  assert.deepEqual(withHostSettings('agent', env, { execPath, folder }), {
    ORKESTR_AGENT_STATE: '/srv/agent',
    ORKESTR_LOG_LEVEL: 'warn',
    PATH: '/bin',
  });
  const empty = withHostSettings('agent', { ORKESTR_LOG_LEVEL: '' }, { execPath, folder });
  assert.equal(empty['ORKESTR_LOG_LEVEL'], '', 'a setting is taken back by an empty one');
});

test('a program that runs from sources ignores the settings of the host', (t) => {
  const { folder } = hostWith(t, 'ORKESTR_LOG_LEVEL=debug\n');
  assert.deepEqual(withHostSettings('agent', {}, { execPath: '/usr/bin/node', folder }), {});
});

test('an installation behind a link is recognized by the real path of its program', (t) => {
  const { folder } = hostWith(t, 'ORKESTR_LOG_LEVEL=debug\n');
  mkdirSync(join(folder, 'var/opt/orkestr/releases'), { recursive: true });
  symlinkSync('var/opt', join(folder, 'opt'));
  symlinkSync('var/opt/orkestr', join(folder, 'orkestr'));
  const real = join(realpathSync(folder), 'var/opt/orkestr/releases/1.0.0/bin/node');
  for (const programs of [join(folder, 'opt/orkestr/releases'), join(folder, 'orkestr/releases')]) {
    assert.equal(isInstalled(real, programs), true, programs);
    assert.equal(isInstalled('/usr/bin/node', programs), false);
    const env = withHostSettings('agent', {}, { execPath: real, folder, programs });
    assert.deepEqual(env, { ORKESTR_LOG_LEVEL: 'debug' });
  }
});

test('a host without the file has the defaults, and so has a user who may not read it', (t) => {
  const { folder, file } = hostWith(t, 'ORKESTR_LOG_LEVEL=debug\n');
  assert.deepEqual(withHostSettings('hub', {}, { execPath, folder }), {});
  chmodSync(folder, 0o711);
  chmodSync(file, 0o600);
  process.seteuid?.(65_534);
  try {
    assert.deepEqual(withHostSettings('agent', {}, { execPath, folder }), {});
  } finally {
    process.seteuid?.(0);
  }
});

test('an unreadable settings file is an error, not an empty file', (t) => {
  const { folder, file } = hostWith(t, '');
  rmSync(file);
  mkdirSync(file);
  assert.throws(() => withHostSettings('agent', {}, { execPath, folder }), {
    code: 'ORK_CONFIG',
    message: /agent\.env/,
  });
});
