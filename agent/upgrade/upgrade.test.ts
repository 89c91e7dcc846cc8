import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { archiveName, INSTALLER_FILE, MANIFEST_FILE } from '../../protocol/release.ts';
import type { ReleaseManifest } from '../../protocol/release.ts';
import { COPY_SUFFIX, HALF_COPY_SUFFIX } from '../../protocol/service/database-copy.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { JOURNAL_FILE } from '../journal/database.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import { carryOut } from './carry-out.ts';
import { linkedVersion, linkTo, originOf, releaseFolder } from './layout.ts';
import { obtainRelease } from './obtain.ts';
import { planUpgrade, startUpgrade } from './order.ts';
import type { UpgradeWish } from './order.ts';
import { readUpgrade, writeUpgrade } from './record.ts';
import type { Upgrade } from './record.ts';
import { publishServed } from './served.ts';
import { AGENT_UNIT, PROXY_UNIT, UPGRADE_UNIT } from './services.ts';
import { HOST_TARGET, startTestHost } from './test-host.ts';
import type { SmallRelease, TestHost } from './test-host.ts';

const wishOf = (folder: string, changes: Partial<UpgradeWish> = {}): UpgradeWish => ({
  version: null,
  folder,
  allowDowngrade: false,
  ...changes,
});

/** Orders an upgrade and carries it out, as the unit does. @returns its end, and every state on the way */
async function upgrade(host: TestHost, folder: string, version: string): Promise<{ ended: Upgrade; states: string[] }> {
  const plan = await planUpgrade(host.parts, wishOf(folder, { version, allowDowngrade: true }));
  await startUpgrade(host.parts, plan, randomUUIDv7());
  const states: string[] = [];
  const ended = await carryOut(host.parts, ({ state }) => {
    if (states.at(-1) !== state) states.push(state);
  });
  assert.ok(ended);
  assert.deepEqual(readUpgrade(host.parts.layout.record), ended);
  assert.equal(existsSync(host.parts.layout.upgrader), false, 'the next one may begin');
  return { ended, states };
}

const proxyVersion = async ({ parts }: TestHost): Promise<string | undefined> =>
  (await makeProxyClient(parts.config.proxySocket).health()).version;

async function runs(host: TestHost, version: string): Promise<void> {
  assert.equal(linkedVersion(host.parts.layout.current), version);
  assert.equal(await host.agentVersion(), version);
  assert.equal(await proxyVersion(host), version);
}

async function published(t: TestContext, release: SmallRelease): Promise<{ host: TestHost; folder: string }> {
  const host = await startTestHost(t);
  return { host, folder: await host.publish(release) };
}

test('an upgrade fetches, tries and switches to the release; it keeps the previous one and deletes older ones', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0', units: { 'orkestr-agent.service': 'new\n' } });
  const { layout } = host.parts;
  mkdirSync(join(layout.releases, '0.9.0'));
  const { ended, states } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.error, null);
  assert.deepEqual(states, ['fetching', 'trial', 'switching', 'healthy']);
  await runs(host, '1.1.0');
  assert.equal(linkedVersion(layout.previous), '1.0.0');
  assert.deepEqual(readdirSync(layout.releases).toSorted(), ['1.0.0', '1.1.0']);
  assert.equal(readFileSync(join(layout.units, 'orkestr-agent.service'), 'utf8'), 'new\n');
  assert.equal(host.processes.reloads, 1);
});

test('a release whose agent does not start is rolled back: programs, units and journal are as before', async (t) => {
  const { host, folder } = await published(t, {
    version: '1.1.0',
    flaw: 'agent-ends',
    units: { 'orkestr-new.service': 'new\n' },
  });
  const { layout, config } = host.parts;
  const journal = join(config.stateFolder, JOURNAL_FILE);
  writeFileSync(journal, 'as it was');
  const start = host.processes.start.bind(host.processes);
  // What a newer agent does before it fails: it migrates, and keeps a copy from before.
  t.mock.method(host.processes, 'start', async (unit: string) => {
    if (unit === AGENT_UNIT && linkedVersion(layout.current) === '1.1.0') {
      writeFileSync(`${journal}${COPY_SUFFIX}`, 'as it was');
      writeFileSync(journal, 'migrated');
      writeFileSync(`${journal}-wal`, 'of the migrated one');
      writeFileSync(`${journal}${HALF_COPY_SUFFIX}`, 'of one that was stopped');
    }
    await start(unit);
  });
  const { ended, states } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.error?.code, 'ORK_UPGRADE_UNHEALTHY');
  assert.deepEqual(ended.error.evidence, ['the log of orkestr-agent.service']);
  assert.deepEqual(states, ['fetching', 'trial', 'switching', 'reverted']);
  await runs(host, '1.0.0');
  assert.equal(readFileSync(journal, 'utf8'), 'as it was');
  assert.equal(existsSync(`${journal}-wal`), false);
  assert.equal(existsSync(`${journal}${HALF_COPY_SUFFIX}`), false);
  assert.equal(existsSync(join(layout.units, 'orkestr-new.service')), false);
  assert.deepEqual(readdirSync(layout.releases), ['1.0.0'], 'nothing is left of what does not run');
});

test('an agent that keeps exiting is not waited for, even though systemd keeps restarting it', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0', flaw: 'agent-ends' });
  const state = host.processes.state.bind(host.processes);
  let looks = 0;
  // Restarts from before the upgrade: they do not count.
  t.mock.method(host.processes, 'state', async (unit: string) => {
    const isNew = unit === AGENT_UNIT && linkedVersion(host.parts.layout.current) === '1.1.0';
    return { ...(await state(unit)), failed: false, restarts: isNew ? 7 + looks++ : 100 };
  });
  const { ended } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.state, 'reverted');
  assert.match(ended.error?.message ?? '', /keeps exiting\. No agent is running/);
  assert.equal(looks, 5);
  await runs(host, '1.0.0');
});

test('an agent that answers as another version is not accepted as the new one', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0', flaw: 'agent-other-version' });
  const { ended } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.state, 'reverted');
  assert.match(ended.error?.message ?? '', /not healthy in 3 s\. The agent that answers is 0\.0\.1/);
  await runs(host, '1.0.0');
});

test('a short silence of systemd does not roll back an upgrade', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  const state = host.processes.state.bind(host.processes);
  let silent = 3;
  t.mock.method(host.processes, 'state', async (unit: string) => {
    silent -= 1;
    if (silent >= 0) throw new Error('Failed to get properties: Connection reset by peer');
    return state(unit);
  });
  assert.equal((await upgrade(host, folder, '1.1.0')).ended.state, 'healthy');
  assert.ok(silent < 0, 'it was asked');
  await runs(host, '1.1.0');
});

test('a rollback does not restart a proxy that only answered late', async (t) => {
  const host = await startTestHost(t, 'proxy-stumbles');
  const folder = await host.publish({ version: '1.1.0', flaw: 'agent-ends' });
  const { ended } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.state, 'reverted');
  assert.deepEqual(
    host.processes.started.filter((unit) => unit === PROXY_UNIT),
    [PROXY_UNIT],
    'its first start is its only one',
  );
  assert.equal(await host.agentVersion(), '1.0.0');
});

test('a proxy without a successor keeps serving, and the agent rolls back to its release', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0', flaw: 'proxy-ends' });
  const { ended } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.state, 'reverted');
  assert.equal(ended.error?.code, 'ORK_PROXY_HAND_OVER');
  await runs(host, '1.0.0');
});

for (const flaw of ['trial-fails', 'trial-ends'] as const) {
  test(`a release that fails its trial (${flaw}) stops nothing`, async (t) => {
    const { host, folder } = await published(t, { version: '1.1.0', flaw });
    const before = host.processes.started.length;
    const { ended, states } = await upgrade(host, folder, '1.1.0');
    assert.equal(ended.error?.code, 'ORK_UPGRADE_TRIAL');
    assert.deepEqual(states, ['fetching', 'trial', 'failed']);
    const evidence = ended.error.evidence.join('\n');
    assert.match(evidence, flaw === 'trial-fails' ? /journal: The journal has schema 9/ : /exit code 9/);
    assert.deepEqual(host.processes.started.slice(before), [UPGRADE_UNIT], 'no unit was touched');
    await runs(host, '1.0.0');
  });
}

test('a release of another maker or with a changed archive is not unpacked', async (t) => {
  const host = await startTestHost(t);
  const { layout } = host.parts;
  const foreign = await host.publish({ version: '1.1.0' }, makeKeyPair().privateKey);
  const { ended } = await upgrade(host, foreign, '1.1.0');
  assert.equal(ended.error?.code, 'ORK_UPGRADE_SIGNATURE');
  const changed = await host.publish({ version: '1.2.0' });
  appendFileSync(join(changed, archiveName('1.2.0', HOST_TARGET)), 'x');
  const second = await upgrade(host, changed, '1.2.0');
  assert.equal(second.ended.error?.code, 'ORK_UPGRADE_SIGNATURE');
  assert.match(second.ended.error.message, /does not match the release's list of checksums/);
  assert.deepEqual(readdirSync(layout.releases), ['1.0.0']);
});

test('a new key is trusted only through a release that names it', async (t) => {
  const host = await startTestHost(t);
  const { layout } = host.parts;
  const { privateKey: newKey } = makeKeyPair();
  const naming = await host.publish({ version: '1.1.0' }, host.key, newKey);
  const after = await host.publish({ version: '1.2.0' }, newKey);
  const tooFar = await upgrade(host, after, '1.2.0');
  assert.equal(tooFar.ended.error?.code, 'ORK_UPGRADE_SIGNATURE');
  assert.equal((await upgrade(host, naming, '1.1.0')).ended.error, null);

  // The hub offers it with the key that signed it.
  mkdirSync(`${layout.served}.new`);
  writeFileSync(join(layout.releases, '1.1.0', INSTALLER_FILE), '');
  await publishServed(layout, { from: '1.0.0', version: '1.1.0' });
  const manifest = JSON.parse(readFileSync(join(layout.served, MANIFEST_FILE), 'utf8')) as ReleaseManifest;
  assert.equal(manifest.publicKey, originOf(layout, '1.0.0').publicKey);
  assert.notEqual(manifest.publicKey, originOf(layout, '1.1.0').publicKey);

  assert.equal((await upgrade(host, after, '1.2.0')).ended.error, null);
  await runs(host, '1.2.0');
});

/** A record of an upgrade that was interrupted in the switch. */
async function cutOff(host: TestHost, folder: string, change: Partial<Upgrade>): Promise<Upgrade | null> {
  const { layout } = host.parts;
  const plan = await planUpgrade(host.parts, wishOf(folder, { version: '1.1.0' }));
  const ordered = await startUpgrade(host.parts, plan, randomUUIDv7());
  await obtainRelease(layout, ordered, host.parts.clock);
  linkTo(layout.current, '1.1.0');
  await host.processes.stop(AGENT_UNIT);
  writeUpgrade(layout.record, { ...ordered, state: 'switching', switches: 1, ...change });
  return carryOut(host.parts, () => undefined);
}

test('an upgrade killed during the switch is continued', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  assert.equal((await cutOff(host, folder, {}))?.state, 'healthy');
  await runs(host, '1.1.0');
});

test('an upgrade killed at the start of the switch restores no database of an earlier upgrade', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0', flaw: 'agent-ends' });
  const journal = join(host.parts.config.stateFolder, JOURNAL_FILE);
  writeFileSync(journal, 'as it was');
  writeFileSync(`${journal}${COPY_SUFFIX}`, 'of long ago');
  await startUpgrade(host.parts, await planUpgrade(host.parts, wishOf(folder, { version: '1.1.0' })), randomUUIDv7());
  const kill = ({ state }: Upgrade): void => {
    if (state === 'switching') throw new Error('killed');
  };
  await assert.rejects(carryOut(host.parts, kill), /killed/);
  assert.equal(readUpgrade(host.parts.layout.record)?.switches, 1);
  assert.equal((await carryOut(host.parts, () => undefined))?.state, 'reverted');
  assert.equal(readFileSync(journal, 'utf8'), 'as it was');
});

test('an upgrade killed twice during the switch is rolled back', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  const ended = await cutOff(host, folder, { switches: 2 });
  assert.equal(ended?.state, 'reverted');
  assert.equal(ended.error?.code, 'ORK_UPGRADE_INTERRUPTED');
  await runs(host, '1.0.0');
});

test('an upgrade killed during its rollback continues the rollback', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  const error = { code: 'ORK_UPGRADE_UNHEALTHY' as const, message: 'It was not well.', evidence: [] };
  const ended = await cutOff(host, folder, { goingBack: true, error });
  assert.equal(ended?.state, 'reverted');
  assert.deepEqual(ended.error, error);
  await runs(host, '1.0.0');
});

test('an upgrade that can neither complete nor roll back reports both reasons', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0', flaw: 'agent-ends' });
  const facts = join(releaseFolder(host.parts.layout, '1.0.0'), 'lib/facts.json');
  writeFileSync(facts, readFileSync(facts, 'utf8').replace('"flaw":null', '"flaw":"agent-ends"'));
  const { ended } = await upgrade(host, folder, '1.1.0');
  assert.equal(ended.state, 'failed');
  assert.equal(ended.error?.code, 'ORK_UPGRADE_STUCK');
  assert.match(ended.error.evidence.join('\n'), /before that: ORK_UPGRADE_UNHEALTHY/);
  assert.equal(linkedVersion(host.parts.layout.current), '1.0.0');
});

test('only one upgrade runs at a time; without one its unit has nothing to do', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  assert.equal(await carryOut(host.parts, () => undefined), null);
  const plan = await planUpgrade(host.parts, wishOf(folder, { version: '1.1.0' }));
  await startUpgrade(host.parts, plan, randomUUIDv7());
  await assert.rejects(startUpgrade(host.parts, plan, randomUUIDv7()), { code: 'ORK_UPGRADE_RUNNING' });
  assert.deepEqual(host.processes.started.slice(-1), [UPGRADE_UNIT]);
});

test('an order interrupted before its unit started does not block later orders: the next one starts the unit', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  const { layout } = host.parts;
  const plan = await planUpgrade(host.parts, wishOf(folder, { version: '1.1.0' }));
  const order = () => startUpgrade(host.parts, plan, randomUUIDv7());
  const refused = { code: 'ORK_UPGRADE_RUNNING' };
  const started = (): number => host.processes.started.filter((unit) => unit === UPGRADE_UNIT).length;
  symlinkSync('releases/1.0.0', layout.upgrader);
  await assert.rejects(order(), refused);
  assert.equal(started(), 0, 'whoever has just made the link is about to start it');

  const minuteAgo = Date.now() / 1000 - 60;
  lutimesSync(layout.upgrader, minuteAgo, minuteAgo);
  const state = t.mock.method(host.processes, 'state', async () => ({
    failed: false,
    restarts: 0,
    active: true,
    mainPid: 1,
  }));
  await assert.rejects(order(), refused);
  assert.equal(started(), 0, 'one that is carried out is left alone');

  state.mock.restore();
  await assert.rejects(order(), refused);
  assert.equal(started(), 1);
  assert.equal(await carryOut(host.parts, () => undefined), null);
  assert.equal((await order()).state, 'fetching');
});

test('an older release is accepted only on request; one that is on the host is not fetched', async (t) => {
  const { host, folder } = await published(t, { version: '1.1.0' });
  const older = await host.publish({ version: '0.9.0' });
  const plan = (wish: UpgradeWish) => planUpgrade(host.parts, wish);
  await assert.rejects(plan(wishOf(older, { version: '0.9.0' })), { code: 'ORK_UPGRADE_VERSION' });
  assert.equal((await plan(wishOf(older, { version: '0.9.0', allowDowngrade: true }))).version, '0.9.0');
  await upgrade(host, folder, '1.1.0');
  const back = await plan(wishOf('/nowhere', { version: '1.0.0', allowDowngrade: true }));
  assert.deepEqual(back.source, { kind: 'none' });
  assert.equal((await upgrade(host, '/nowhere', '1.0.0')).ended.state, 'healthy');
  await runs(host, '1.0.0');
});

test('a leftover link of an upgrade without a record is removed', async (t) => {
  const host = await startTestHost(t);
  const { layout } = host.parts;
  symlinkSync('releases/1.0.0', layout.upgrader);
  assert.equal(await carryOut(host.parts, () => undefined), null);
  assert.equal(existsSync(layout.upgrader), false);
});
