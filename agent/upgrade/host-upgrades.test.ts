import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { HostUpgradeState, UpgradeNews } from '../../protocol/agent-link.ts';
import { until as waitUntil } from '../../test/harness/until.ts';
import type { HostUpgrades } from '../hub-link/upgrades.ts';
import { silent } from '../lib/test-logger.ts';
import { carryOut } from './carry-out.ts';
import { hostUpgrades } from './host-upgrades.ts';
import { obtainRelease } from './obtain.ts';
import { readUpgrade, writeUpgrade } from './record.ts';
import { UPGRADE_UNIT } from './services.ts';
import { startTestHost } from './test-host.ts';
import type { TestHost } from './test-host.ts';

interface Bench {
  readonly host: TestHost;
  readonly upgrades: HostUpgrades;
  readonly told: UpgradeNews[];
  readonly until: (state: HostUpgradeState) => Promise<UpgradeNews>;
}

async function bench(t: TestContext): Promise<Bench> {
  const host = await startTestHost(t);
  // Unpacked on the host beforehand: this test has no hub to fetch it from.
  const path = await host.publish({ version: '1.1.0' });
  const { layout, clock } = host.parts;
  await obtainRelease(layout, { from: '1.0.0', version: '1.1.0', source: { kind: 'folder', path } }, clock);
  const upgrades = hostUpgrades(host.parts, silent);
  const told: UpgradeNews[] = [];
  upgrades.onChanged(() => {
    const news = upgrades.news();
    if (news !== null) told.push(news);
  });
  t.after(() => upgrades.onChanged(null));
  const until = async (state: HostUpgradeState): Promise<UpgradeNews> => {
    const found = (): UpgradeNews | undefined => told.find((news) => news.state === state);
    await waitUntil(() => found() !== undefined, `it is told: ${state}`);
    return found() ?? assert.fail();
  };
  return { host, upgrades, told, until };
}

const order = (version: string) => ({ type: 'upgrade' as const, upgradeId: randomUUIDv7(), version });

test('the hub gets each state of the upgrade that it ordered exactly once', async (t) => {
  const { host, upgrades, told, until } = await bench(t);
  const ordered = order('1.1.0');
  upgrades.order(ordered);
  await until('fetching');
  assert.deepEqual(host.processes.started.slice(-1), [UPGRADE_UNIT]);
  await carryOut(host.parts, () => undefined);
  assert.deepEqual(await until('healthy'), { ...ordered, type: 'upgrade-state', state: 'healthy' });
  assert.deepEqual(
    told.map(({ state }) => state).filter((state) => state !== 'trial'), // may be over before anybody looks
    ['fetching', 'switching', 'healthy'],
  );
});

test('a repeated order is answered but not carried out again', async (t) => {
  const { host, upgrades, told, until } = await bench(t);
  const ordered = order('1.1.0');
  upgrades.order(ordered);
  await until('fetching');
  const started = host.processes.started.length;
  upgrades.order(ordered);
  assert.equal(told.length, 2);
  assert.equal(host.processes.started.length, started);
});

test('an order repeated while its release is being located is the same order', async (t) => {
  const { host, upgrades, told, until } = await bench(t);
  const ordered = order('1.1.0');
  upgrades.order(ordered);
  upgrades.order(ordered);
  await until('fetching');
  await carryOut(host.parts, () => undefined);
  await until('healthy');
  assert.ok(!told.some(({ state }) => state === 'failed'), JSON.stringify(told));
});

test('an order during another upgrade fails and leaves that upgrade alone', async (t) => {
  const { host, upgrades, until } = await bench(t);
  upgrades.order(order('1.1.0'));
  await until('fetching');
  const record = readUpgrade(host.parts.layout.record);
  const second = order('1.1.0');
  upgrades.order(second);
  const answer = await until('failed');
  assert.equal(answer.upgradeId, second.upgradeId);
  assert.equal(answer.error?.code, 'ORK_UPGRADE_RUNNING');
  assert.deepEqual(readUpgrade(host.parts.layout.record), record);
});

test('an order for the running version is healthy at once; one for a version that nobody has fails', async (t) => {
  const { upgrades, told, until } = await bench(t);
  upgrades.order(order('1.0.0'));
  await until('healthy');
  told.length = 0;
  upgrades.order(order('1.5.0'));
  assert.equal((await until('failed')).error?.code, 'ORK_UPGRADE_SOURCE');
});

test('a restarted agent reports the last upgrade, unless it is older than an hour', async (t) => {
  const { host, until, upgrades } = await bench(t);
  upgrades.order(order('1.1.0'));
  await until('fetching');
  await carryOut(host.parts, () => undefined);
  const { record } = host.parts.layout;
  assert.equal(hostUpgrades(host.parts, silent).news()?.state, 'healthy');
  const ended = readUpgrade(record)!;
  writeUpgrade(record, { ...ended, changedAt: new Date(Date.now() - 3_700_000).toISOString() });
  assert.equal(hostUpgrades(host.parts, silent).news(), null);
});
