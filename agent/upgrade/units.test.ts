import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { layoutAt, releaseFolder } from './layout.ts';
import { HUB_UNITS } from './services.ts';
import { installUnits } from './units.ts';

const UNITS = join(import.meta.dirname, '../../installer/units');
const NAMES = readdirSync(UNITS);

test('units that must run are restarted without a start limit', () => {
  const textOf = (name: string): string => readFileSync(join(UNITS, name), 'utf8');
  const restarted = (how: RegExp): string[] => NAMES.filter((name) => how.test(textOf(name))).toSorted();
  const always = ['orkestr-agent.service', 'orkestr-hub.service', 'orkestr-proxy.service'];
  assert.deepEqual(restarted(/^Restart=always$/m), always);
  const all = [...always, 'orkestr-upgrade.service'];
  assert.deepEqual(restarted(/^Restart=/m), all);
  for (const name of all) assert.match(textOf(name), /^StartLimitIntervalSec=0$/m, name);
});

test('systemd restarts a service that hangs, and takes the notifications of its programs', () => {
  const seconds = { agent: 60, hub: 60, proxy: 30 };
  for (const [name, limit] of Object.entries(seconds)) {
    const unit = readFileSync(join(UNITS, `orkestr-${name}.service`), 'utf8');
    for (const line of ['Type=notify', 'NotifyAccess=all', `WatchdogSec=${limit}`])
      assert.match(unit, new RegExp(`^${line}$`, 'm'), name);
  }
});

test('agent and proxy have a start timeout for busy machines, longer than an upgrade waits for them', () => {
  for (const name of ['orkestr-agent.service', 'orkestr-proxy.service'])
    assert.match(readFileSync(join(UNITS, name), 'utf8'), /^TimeoutStartSec=3min$/m, name);
});

test('the hub has a start timeout that allows it to copy a database of many GB before it changes it', () => {
  const unit = readFileSync(join(UNITS, 'orkestr-hub.service'), 'utf8');
  assert.match(unit, /^TimeoutStartSec=1h$/m);
});

test('the hub starts after the clock is set if the boot waits for that', () => {
  assert.match(readFileSync(join(UNITS, 'orkestr-hub.service'), 'utf8'), /^After=.*\btime-sync\.target$/m);
});

test('a host without the hub gets no hub units and loses those from an earlier upgrade', (t) => {
  const layout = layoutAt(temporaryFolder(t));
  mkdirSync(layout.units, { recursive: true });
  for (const version of ['1.0.0', '1.1.0']) {
    const folder = join(releaseFolder(layout, version), 'units');
    mkdirSync(folder, { recursive: true });
    for (const name of NAMES) writeFileSync(join(folder, name), `${version} ${name}\n`);
  }
  const left = join(layout.units, 'orkestr-hub-backup.timer');
  writeFileSync(left, 'of an upgrade before\n');
  const others = NAMES.filter((name) => !name.startsWith('orkestr-hub'));
  assert.equal(installUnits(layout, '1.1.0', '1.0.0'), true);
  assert.deepEqual(readdirSync(layout.units).toSorted(), others.toSorted());
  assert.equal(installUnits(layout, '1.1.0', '1.0.0'), false);

  writeFileSync(join(layout.units, 'orkestr-hub.service'), 'the hub is here\n');
  installUnits(layout, '1.1.0', '1.0.0');
  assert.deepEqual(readdirSync(layout.units).toSorted(), NAMES.toSorted());
  assert.equal(readFileSync(left, 'utf8'), '1.1.0 orkestr-hub-backup.timer\n');
});

test('HUB_UNITS lists every unit of the hub', () => {
  assert.deepEqual(
    HUB_UNITS.toSorted(),
    NAMES.filter((name) => name.startsWith('orkestr-hub')),
  );
});
