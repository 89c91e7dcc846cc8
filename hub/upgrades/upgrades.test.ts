import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { HostUpgradeState } from '../../protocol/agent-link.ts';
import { Problem } from '../../protocol/errors.ts';
import type { ReleaseManifest } from '../../protocol/release.ts';
import { PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { until } from '../../test/harness/until.ts';
import type { ScriptedAgent } from '../agents/test-agent.ts';
import { startTestHub, type TestHub, type TestHubOptions } from '../test-hub.ts';
import type { EnrolledHost } from '../test-seed.ts';
import { Upgrade } from '../api/schemas.ts';
import { AWAY_MS, STAYED_MS, UPGRADE_MS } from './advance.ts';

const VERSION = '2.0.0';
const HOUR_MS = 3_600_000;

interface Fleet {
  readonly hub: TestHub;
  readonly hosts: EnrolledHost[];
  /** The only upgrade, or the newest. */
  view(): Promise<Upgrade>;
  /** `paused: healthy failed waiting`. */
  isNow(told: string): Promise<void>;
  post(path: string, body?: unknown): Promise<Response>;
  begin(body?: unknown): Promise<Upgrade>;
}

function releaseFolder(t: TestContext, change: Partial<ReleaseManifest> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-release-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = [{ name: 'SHA256SUMS', bytes: 0, sha256: '0'.repeat(64) }];
  const manifest = { version: VERSION, publicKey: `${'A'.repeat(59)}=`, protocol: 2, files, ...change };
  writeFileSync(join(folder, 'release.json'), JSON.stringify(manifest));
  return folder;
}

/** A hub with three hosts and a release. */
async function fleet(t: TestContext, options: TestHubOptions = {}): Promise<Fleet> {
  const hub = await startTestHub({ env: { ORKESTR_HUB_RELEASES: releaseFolder(t) }, ...options });
  t.after(() => hub.stop());
  const hosts = [{ id: hub.hostId, key: hub.hostKey }, await hub.addHost('vps-2'), await hub.addHost('vps-3')];
  return fleetOf(hub, hosts);
}

function fleetOf(hub: TestHub, hosts: EnrolledHost[]): Fleet {
  const post = (path: string, body: unknown = {}) => hub.api('POST', path, body);
  const view = async (): Promise<Upgrade> => {
    const [newest] = Upgrade.array().parse(await (await hub.api('GET', '/upgrades')).json());
    assert.ok(newest, 'There is an upgrade.');
    return newest;
  };
  return {
    hub,
    hosts,
    view,
    post,
    async isNow(told) {
      let last = '';
      const look = async (): Promise<boolean> => {
        const { state, hosts: shown } = await view();
        last = `${state}: ${shown.map((host) => host.state).join(' ')}`;
        return last === told;
      };
      await until(look).catch(() => assert.equal(last, told));
    },
    async begin(body) {
      const answer = await post('/upgrades', body);
      assert.equal(answer.status, 201, await answer.clone().text());
      return Upgrade.parse(await answer.json());
    },
  };
}

const connect = ({ hub, hosts }: Fleet, index: number, agentVersion = '1.0.0', protocol = PROTOCOL_VERSION) =>
  hub.connect({ host: hosts[index], agentVersion, protocol });

const tell = (agent: ScriptedAgent, upgradeId: string, state: HostUpgradeState): void =>
  agent.say({
    type: 'upgrade-state',
    upgradeId,
    version: VERSION,
    state,
    ...(state === 'failed' || state === 'reverted'
      ? { error: { code: 'ORK_INTERNAL', message: `It is ${state}.`, evidence: [] } }
      : {}),
  });

/** An agent that obeys its order: it disconnects and returns as the new version. */
async function upgradeWell(at: Fleet, index: number, agent: ScriptedAgent): Promise<ScriptedAgent> {
  const order = await agent.next('upgrade');
  assert.equal(order.version, VERSION);
  for (const state of ['fetching', 'trial', 'switching'] as const) tell(agent, order.upgradeId, state);
  await until(async () => (await at.view()).hosts[index]?.state === 'switching');
  await agent.leave();
  const successor = await connect(at, index, VERSION);
  tell(successor, order.upgradeId, 'healthy');
  return successor;
}

const problemOf = async (answer: Response): Promise<Problem> => Problem.parse(await answer.json());

test('hosts are upgraded one after another, and each gets its order only on its turn', async (t) => {
  const at = await fleet(t);
  const agents = [await connect(at, 0), await connect(at, 1), await connect(at, 2)];
  const begun = await at.begin();
  assert.deepEqual(
    [begun.version, begun.atOnce, begun.hosts.map(({ name }) => name)],
    [VERSION, 1, ['vps-1', 'vps-2', 'vps-3']],
  );
  for (const [index, agent] of agents.entries()) {
    assert.deepEqual(
      agents.slice(index + 1).flatMap(({ heard }) => heard.filter(({ type }) => type === 'upgrade')),
      [],
      'Nobody hears of it before its turn.',
    );
    await upgradeWell(at, index, agent);
  }
  await at.isNow('done: healthy healthy healthy');
  assert.notEqual((await at.view()).finishedAt, null);
});

test('two hosts are upgraded at once, in the requested order', async (t) => {
  const at = await fleet(t);
  const agents = [await connect(at, 0), await connect(at, 1), await connect(at, 2)];
  const order = [2, 0, 1].map((index) => at.hosts[index]?.id);
  await at.begin({ hosts: order, atOnce: 2 });
  await Promise.all([agents[2]?.next('upgrade'), agents[0]?.next('upgrade')]);
  await at.isNow('running: ordered ordered waiting');
});

test('the first host that reverts pauses the upgrade; after a resume it gets a new order', async (t) => {
  const at = await fleet(t);
  const agent = await connect(at, 0);
  await connect(at, 1);
  await connect(at, 2);
  const { id } = await at.begin();
  const first = await agent.next('upgrade');
  tell(agent, first.upgradeId, 'switching');
  await at.isNow('running: switching waiting waiting');
  await agent.leave();
  const back = await connect(at, 0);
  tell(back, first.upgradeId, 'reverted');
  await at.isNow('paused: reverted waiting waiting');
  assert.equal((await at.view()).hosts[0]?.error?.message, 'It is reverted.');
  assert.equal((await at.post('/upgrades')).status, 409, 'One at a time.');
  assert.equal((await at.post(`/upgrades/${id}/resume`)).status, 202);
  const second = await back.next('upgrade');
  assert.notEqual(second.upgradeId, first.upgradeId);
  tell(back, first.upgradeId, 'reverted'); // late report for an order that is no longer current
  tell(back, second.upgradeId, 'fetching');
  await at.isNow('running: fetching waiting waiting');
});

test('a failed host can be skipped, and the others continue', async (t) => {
  const at = await fleet(t);
  const agents = [await connect(at, 0), await connect(at, 1)];
  const { id } = await at.begin({ hosts: at.hosts.slice(0, 2).map((host) => host.id) });
  tell(agents[0] as ScriptedAgent, (await agents[0]?.next('upgrade'))?.upgradeId ?? '', 'failed');
  await at.isNow('paused: failed waiting');
  assert.equal(
    (await at.post(`/upgrades/${id}/skip`, { hosts: [at.hosts[2]?.id] })).status,
    404,
    'It has no such host.',
  );
  assert.equal((await at.post(`/upgrades/${id}/skip`, { hosts: [at.hosts[0]?.id] })).status, 202);
  await at.isNow('paused: skipped waiting');
  await at.post(`/upgrades/${id}/resume`);
  await upgradeWell(at, 1, agents[1] as ScriptedAgent);
  await at.isNow('done: skipped healthy');
});

test('after a cancel a host in progress finishes, and no other starts', async (t) => {
  const at = await fleet(t);
  const agent = await connect(at, 0);
  await connect(at, 1);
  const { id } = await at.begin();
  const order = await agent.next('upgrade');
  assert.equal((await at.post(`/upgrades/${id}/cancel`)).status, 202);
  await at.isNow('cancelled: ordered skipped skipped');
  await agent.leave();
  tell(await connect(at, 0, VERSION), order.upgradeId, 'healthy');
  await at.isNow('cancelled: healthy skipped skipped');
  assert.equal((await problemOf(await at.post(`/upgrades/${id}/resume`))).code, 'ORK_CONFLICT');
});

test('an offline host is awaited on its turn and then fails', async (t) => {
  const at = await fleet(t);
  await connect(at, 1);
  await at.begin({ hosts: [at.hosts[0]?.id, at.hosts[1]?.id] });
  await at.isNow('running: waiting waiting');
  at.hub.pass(AWAY_MS - 1000);
  await at.hub.deps.upgrades.sweep();
  await at.isNow('running: waiting waiting');
  at.hub.pass(1000);
  await at.hub.deps.upgrades.sweep();
  await at.isNow('paused: failed waiting');
  assert.equal((await at.view()).hosts[0]?.error?.code, 'ORK_HOST_OFFLINE');
});

test('a changed clock gives a host neither less nor more time, on its turn or after it reconnected', async (t) => {
  for (const setMs of [8 * HOUR_MS, -8 * HOUR_MS]) {
    const at = await fleet(t);
    await connect(at, 1);
    const one = await connect(at, 0);
    await at.begin({ hosts: [at.hosts[0]?.id, at.hosts[2]?.id, at.hosts[1]?.id] });
    tell(one, (await one.next('upgrade')).upgradeId, 'switching');
    await at.isNow('running: switching waiting waiting');
    await one.leave();
    await connect(at, 0, VERSION); // without any report of the result
    const later = async (ms: number): Promise<void> => {
      at.hub.pass(ms);
      await at.hub.deps.upgrades.sweep();
    };
    at.hub.setClock(setMs);
    await later(0);
    await at.isNow('running: switching waiting waiting');
    await later(STAYED_MS);
    await at.isNow('running: healthy waiting waiting');
    at.hub.setClock(setMs);
    await later(0);
    await later(AWAY_MS - 1000);
    await at.isNow('running: healthy waiting waiting');
    await later(1000);
    await at.isNow('paused: healthy failed waiting');
  }
});

test('a host that connects on its turn gets its order, and again when it reconnects without an answer', async (t) => {
  const at = await fleet(t);
  await at.begin();
  const agent = await connect(at, 0);
  const order = await agent.next('upgrade');
  await agent.leave();
  const again = await connect(at, 0);
  assert.deepEqual(await again.next('upgrade'), order);
  tell(again, order.upgradeId, 'trial');
  await at.isNow('running: trial waiting waiting');
  for (const { heard } of [agent, again]) assert.equal(heard.filter(({ type }) => type === 'upgrade').length, 1);
});

test('an upgrade does not wait for a host that is removed from the hub', async (t) => {
  const at = await fleet(t);
  const extra = at.hosts[1]?.id ?? '';
  await connect(at, 0, VERSION);
  const agent = await connect(at, 1);
  await at.begin({ hosts: [at.hosts[0]?.id, extra] });
  await agent.next('upgrade');
  await at.isNow('running: healthy ordered');
  assert.equal((await at.hub.api('DELETE', `/hosts/${extra}`)).status, 204);
  await at.hub.deps.upgrades.sweep();
  await at.isNow('done: healthy');
});

test('a host that does not finish in time pauses the upgrade; a late success still counts', async (t) => {
  const at = await fleet(t);
  const agent = await connect(at, 0);
  await at.begin({ hosts: [at.hosts[0]?.id] });
  const order = await agent.next('upgrade');
  at.hub.pass(UPGRADE_MS);
  await at.hub.deps.upgrades.sweep();
  await at.isNow('paused: failed');
  assert.equal((await at.view()).hosts[0]?.error?.code, 'ORK_UPGRADE_TIMEOUT');
  await agent.leave();
  tell(await connect(at, 0, VERSION), order.upgradeId, 'healthy');
  await at.isNow('done: healthy');
});

test("only the new agent's report of healthy is accepted, not the old agent's", async (t) => {
  const at = await fleet(t);
  const agent = await connect(at, 0);
  await at.begin();
  tell(agent, (await agent.next('upgrade')).upgradeId, 'healthy');
  tell(
    agent,
    (await at.hub.deps.db.selectFrom('upgrade_host').selectAll().executeTakeFirstOrThrow()).order_id,
    'trial',
  );
  await at.isNow('running: trial waiting waiting');
});

test('reports for an unknown order or for the order of another host change nothing', async (t) => {
  const at = await fleet(t);
  const [agent, other] = [await connect(at, 0), await connect(at, 1)];
  await at.begin({ atOnce: 2 });
  const { upgradeId } = await agent.next('upgrade');
  tell(other, upgradeId, 'failed');
  tell(agent, '018f0000-0000-7000-8000-00000000000a', 'failed');
  tell(agent, upgradeId, 'trial');
  await at.isNow('running: trial ordered waiting');
});

test('a restarted hub continues an upgrade and detects a missed success by the version of the host', async (t) => {
  const before = await startTestHub({ env: { ORKESTR_HUB_RELEASES: releaseFolder(t) } });
  const hosts = [{ id: before.hostId, key: before.hostKey }, await before.addHost('vps-2')];
  const first = fleetOf(before, hosts);
  const agent = await connect(first, 0);
  await first.begin();
  tell(agent, (await agent.next('upgrade')).upgradeId, 'switching');
  await first.isNow('running: switching waiting');
  await before.stop(true);

  const hub = await startTestHub({ resume: before });
  t.after(() => hub.stop());
  const at = fleetOf(hub, hosts);
  const next = await connect(at, 1);
  await connect(at, 0, VERSION); // without any report of the result
  await hub.deps.upgrades.sweep();
  await at.isNow('running: switching waiting');
  hub.pass(STAYED_MS);
  await hub.deps.upgrades.sweep();
  await upgradeWell(at, 1, next);
  await at.isNow('done: healthy healthy');
});

test('a host is not taken for offline because the hub itself was down', async (t) => {
  const before = await startTestHub({ env: { ORKESTR_HUB_RELEASES: releaseFolder(t) } });
  const hosts = [{ id: before.hostId, key: before.hostKey }];
  await fleetOf(before, hosts).begin();
  await before.deps.db.updateTable('upgrade_host').set({ turn_at: '2029-12-31T00:00:00.000Z' }).execute();
  await before.stop(true);

  const hub = await startTestHub({ resume: before });
  t.after(() => hub.stop());
  const at = fleetOf(hub, hosts);
  await hub.deps.upgrades.sweep();
  await at.isNow('running: waiting');
  hub.pass(AWAY_MS);
  await hub.deps.upgrades.sweep();
  await at.isNow('paused: failed');
});

test('a version that this hub does not offer, or whose protocol is too new, is refused with a code', async (t) => {
  const at = await fleet(t);
  const other = await problemOf(await at.post('/upgrades', { version: '3.0.0' }));
  assert.deepEqual([other.code, other.detail], ['ORK_UPGRADE_UNSERVED', 'This hub offers 2.0.0, not 3.0.0.']);
  assert.equal((await at.post('/upgrades', { version: '2.0.0; rm -rf /' })).status, 400);
  const ahead = await fleet(t, { env: { ORKESTR_HUB_RELEASES: releaseFolder(t, { protocol: PROTOCOL_VERSION + 1 }) } });
  assert.equal((await problemOf(await ahead.post('/upgrades'))).code, 'ORK_UPGRADE_UNSERVED');
  const none = await fleet(t, { env: {} });
  assert.equal((await problemOf(await none.post('/upgrades'))).code, 'ORK_NOT_FOUND');
});

test('unknown hosts and hosts that have not joined are refused', async (t) => {
  const at = await fleet(t);
  const strange = await at.post('/upgrades', { hosts: ['018f0000-0000-7000-8000-00000000000a'] });
  assert.equal((await problemOf(strange)).code, 'ORK_NOT_FOUND');
  const made = (await (await at.post('/hosts', { name: 'new' })).json()) as { id: string };
  assert.equal((await problemOf(await at.post('/upgrades', { hosts: [made.id] }))).code, 'ORK_CONFLICT');
  assert.equal((await at.begin()).hosts.length, 3, 'Left out of all.');
});

test('newer hosts are left out of an upgrade of all hosts, and no host is downgraded', async (t) => {
  const at = await fleet(t);
  await connect(at, 1, '2.0.1');
  const { hosts } = await at.begin();
  assert.deepEqual(
    hosts.map(({ id }) => id),
    [at.hosts[0]?.id, at.hosts[2]?.id],
  );
  const newer = await fleet(t);
  for (const index of [0, 1, 2]) await connect(newer, index, '2.0.1');
  const refused = await problemOf(await newer.post('/upgrades'));
  assert.deepEqual(
    [refused.code, refused.detail],
    ['ORK_CONFLICT', 'Every host is newer than the release 2.0.0 of this hub.'],
  );
});

test('a host shows the version it can be upgraded to', async (t) => {
  const at = await fleet(t);
  await connect(at, 0);
  await connect(at, 1, VERSION);
  await connect(at, 2, '2.0.1');
  const hosts = (await (await at.hub.api('GET', '/hosts')).json()) as { upgradeTo: string | null }[];
  assert.deepEqual(
    hosts.map(({ upgradeTo }) => upgradeTo),
    [VERSION, null, null],
  );
});
