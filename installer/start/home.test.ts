import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { identify } from '../stack/process-identity.ts';
import { Home } from './home.ts';
import { readOptions } from './options.ts';

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

test('a folder with other files is not ours', () => {
  assert.equal(home.isOurs, false, 'logs alone may be anything');
  home.remember({ hubPort: 7700 });
  assert.equal(home.isOurs, true);
  rmSync(home.folder, { recursive: true });
  assert.equal(home.isOurs, true, 'there is nothing yet');
  mkdirSync(home.folder);
  assert.equal(home.isOurs, true, 'it is empty');
});

test('options are parsed, and invalid ones are refused with an error code', () => {
  assert.deepEqual(readOptions([]), { mode: 'stay', home: null });
  assert.deepEqual(readOptions(['--once', '--home', '/tmp/a/../b']), { mode: 'once', home: '/tmp/b' });
  assert.equal(readOptions(['--reset']).mode, 'reset');
  assert.equal(readOptions(['--once', '--help']).mode, 'help');
  for (const wrong of [['--often'], ['--once', '--reset'], ['once'], ['--home'], ['--home', '']]) {
    assert.throws(() => readOptions(wrong), { code: 'ORK_CONFIG' }, wrong.join(' '));
  }
});
