/** Upgrades on disks that are really full. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUIDv7 } from 'node:crypto';
import { cpSync, existsSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { carryOut } from './carry-out.ts';
import { linkedVersion } from './layout.ts';
import { planUpgrade, startUpgrade } from './order.ts';
import { readUpgrade } from './record.ts';
import { startTestHost } from './test-host.ts';
import type { TestHost } from './test-host.ts';

/** Mounts a small tmpfs over a folder and copies the folder's contents into it. */
type OnSmallDisk = (folder: string, size: string) => void;

/** A host whose small disks are unmounted before its folders are removed. */
async function hostWithDisks(t: TestContext): Promise<{ host: TestHost; onSmallDisk: OnSmallDisk }> {
  const mounted: string[] = [];
  t.after(() => {
    for (const folder of mounted) execFileSync('umount', ['--lazy', folder]);
  });
  return {
    host: await startTestHost(t),
    onSmallDisk(folder, size) {
      const kept = `${folder}.kept`;
      cpSync(folder, kept, { recursive: true, verbatimSymlinks: true });
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
      mounted.push(folder);
      cpSync(kept, folder, { recursive: true, verbatimSymlinks: true });
    },
  };
}

function fill(folder: string): string {
  const file = join(folder, 'filler');
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(file, Buffer.alloc(bavail * bsize));
  return file;
}

async function order(host: TestHost, folder: string, version: string): Promise<void> {
  const plan = await planUpgrade(host.parts, { version, folder, allowDowngrade: false });
  await startUpgrade(host.parts, plan, randomUUIDv7());
}

test('a disk without room for a release is named in the error, and nothing is changed', async (t) => {
  const { host, onSmallDisk } = await hostWithDisks(t);
  const { layout } = host.parts;
  const folder = await host.publish({ version: '1.1.0', units: { 'orkestr-large.service': 'x'.repeat(400_000) } });
  onSmallDisk(layout.releases, '256k');
  await order(host, folder, '1.1.0');
  const ended = await carryOut(host.parts, () => undefined);
  assert.equal(ended?.state, 'failed');
  assert.equal(ended.error?.code, 'ORK_DISK_FULL');
  assert.match(ended.error.message, new RegExp(`^${layout.releases} has no room for orkestr 1\\.1\\.0`));
  assert.deepEqual(readdirSync(layout.releases), ['1.0.0']);
  assert.equal(await host.agentVersion(), '1.0.0');
  assert.equal(existsSync(layout.upgrader), false, 'the next one may begin');
});

test('a disk that fills up during the switch does not stop it; its end is recorded once there is room', async (t) => {
  const { host, onSmallDisk } = await hostWithDisks(t);
  const { layout } = host.parts;
  const folder = await host.publish({ version: '1.1.0' });
  const state = dirname(layout.record);
  onSmallDisk(state, '64k');
  await order(host, folder, '1.1.0');
  let filler = '';
  const fillInSwitch = ({ doing }: { readonly doing: string }): void => {
    if (doing.startsWith('stopping the agent')) filler = fill(state);
  };
  await assert.rejects(carryOut(host.parts, fillInSwitch), { code: 'ENOSPC' });
  assert.equal(linkedVersion(layout.current), '1.1.0');
  assert.equal(await host.agentVersion(), '1.1.0', 'the agent was not left stopped');
  assert.equal(readUpgrade(layout.record)?.state, 'switching');
  assert.ok(existsSync(layout.upgrader), 'systemd goes on with it');

  rmSync(filler);
  assert.equal((await carryOut(host.parts, () => undefined))?.state, 'healthy');
  assert.equal(await host.agentVersion(), '1.1.0');
  assert.equal(existsSync(layout.upgrader), false);
});

test('nothing is touched if the switch cannot be recorded beforehand', async (t) => {
  const { host, onSmallDisk } = await hostWithDisks(t);
  const { layout } = host.parts;
  const state = dirname(layout.record);
  onSmallDisk(state, '64k');
  const folder = await host.publish({ version: '1.1.0' });
  await order(host, folder, '1.1.0');
  const started = host.processes.started.length;
  const fillInTrial = ({ state: now }: { readonly state: string }): void => {
    if (now === 'trial') fill(state);
  };
  await assert.rejects(carryOut(host.parts, fillInTrial), { code: 'ENOSPC' });
  assert.equal(host.processes.started.length, started);
  assert.equal(linkedVersion(layout.current), '1.0.0');
  assert.equal(await host.agentVersion(), '1.0.0');
});

test('an unreadable record ends the upgrade, so that another one can begin', async (t) => {
  const host = await startTestHost(t);
  const { layout } = host.parts;
  await order(host, await host.publish({ version: '1.1.0' }), '1.1.0');
  writeFileSync(layout.record, 'half of o');
  await assert.rejects(
    carryOut(host.parts, () => undefined),
    { code: 'ORK_CONFIG' },
  );
  assert.equal(existsSync(layout.upgrader), false);
});
