import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { identify } from '../stack/process-identity.ts';
import { Home } from './home.ts';
import { readMode } from './options.ts';

let home: Home;

beforeEach(() => {
  home = new Home(mkdtempSync(join(tmpdir(), 'ork-home-')));
  home.make();
});
afterEach(() => rmSync(home.folder, { recursive: true, force: true }));

test('remembered values are added to earlier ones, and credentials are for the owner only', () => {
  assert.deepEqual(home.memory(), {});
  home.remember({ hubPort: 7700 });
  home.remember({ setup: 'done' });
  assert.deepEqual(home.memory(), { hubPort: 7700, setup: 'done' });
  assert.equal(home.credentials(), null);
  home.keepCredentials({ email: 'a@localhost', token: 't' });
  assert.deepEqual(home.credentials(), { email: 'a@localhost', token: 't' });
  assert.equal(statSync(home.path('credentials.json')).mode & 0o777, 0o600);
});

test('a second npm start in the same folder is refused until the first is gone', () => {
  const unlock = home.lock();
  assert.equal(home.isLocked(), true);
  assert.throws(() => home.lock(), { code: 'ORK_ALREADY_RUNNING' });
  unlock();
  assert.equal(home.isLocked(), false);
  home.lock()();
});

test('the lock of a killed run is taken over, even if another process has its number or the file is incomplete', () => {
  const stranger = identify(process.pid);
  writeFileSync(home.path('launcher.json'), JSON.stringify({ ...stranger, startTicks: '1' }));
  home.lock()();
  writeFileSync(home.path('launcher.json'), '');
  home.lock()();
});

test('options are parsed, and invalid ones are refused with an error code', () => {
  assert.equal(readMode([]), 'stay');
  assert.equal(readMode(['--once']), 'once');
  assert.equal(readMode(['--reset']), 'reset');
  assert.equal(readMode(['--once', '--help']), 'help');
  assert.throws(() => readMode(['--often']), { code: 'ORK_CONFIG' });
  assert.throws(() => readMode(['--once', '--reset']), { code: 'ORK_CONFIG' });
  assert.throws(() => readMode(['once']), { code: 'ORK_CONFIG' });
});
