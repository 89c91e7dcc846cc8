import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openEdgeOrder } from '../../protocol/signing.ts';
import { until } from '../../test/harness/until.ts';
import type { ScriptedAgent } from '../agents/test-agent.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { COMMIT } from '../test-release.ts';

const PATH = '/projects/shop/environments/production';

interface Shown {
  readonly edge: { readonly state: string; readonly error: { readonly code: string } | null };
}

/** No sweep runs during a test, so every message to an agent has the cause under test. */
const NO_SWEEP_MS = 2 ** 31 - 1;

async function hub(t: TestContext): Promise<TestHub> {
  const on = await startTestHub({ sweepMs: NO_SWEEP_MS });
  t.after(() => on.stop());
  return on;
}

async function change(on: TestHub, settings: object): Promise<Shown> {
  const answer = await on.api('PATCH', PATH, { settings });
  assert.equal(answer.status, 200);
  return (await answer.json()) as Shown;
}

const stateOf = async (on: TestHub): Promise<string> =>
  ((await (await on.api('GET', PATH)).json()) as Shown).edge.state;

async function goLive(on: TestHub, agent: ScriptedAgent): Promise<void> {
  const { environmentId, account } = on;
  const wanted = { environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: account.userId } as const;
  await on.deps.scheduler.create(wanted);
  await agent.live(await agent.job());
}

async function orderOf(on: TestHub, agent: ScriptedAgent) {
  const { envelope } = await agent.next('edge');
  return openEdgeOrder(envelope, on.deps.hubKey.publicKey);
}

const say = (on: TestHub, agent: ScriptedAgent, revision: number, error?: object): void =>
  agent.say({ type: 'edge-state', environmentId: on.environmentId, revision, ...(error && { error: error as never }) });

test('changed edge settings are sent at once to the host that serves, and are active once it confirms them', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await goLive(on, agent);
  assert.equal(await stateOf(on), 'active');
  assert.equal((await change(on, { edge: { maintenance: true } })).edge.state, 'sent');
  const order = await orderOf(on, agent);
  assert.deepEqual([order.hostId, order.environmentId, order.revision], [on.hostId, on.environmentId, 1]);
  assert.deepEqual([order.edge.maintenance, order.routes[0]?.host], [true, 'production.example.com']);
  say(on, agent, 1);
  await until(async () => (await stateOf(on)) === 'active');
  await change(on, { domains: [{ host: 'shop.example.com' }] });
  assert.deepEqual((await orderOf(on, agent)).routes, [{ host: 'shop.example.com', pathPrefix: '/' }]);
});

test('changed container settings and unchanged edge settings send nothing to the host', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await goLive(on, agent);
  for (const settings of [
    { limits: { memoryMiB: 64 } },
    { edge: { maintenance: false } },
    { edge: { appProtocol: 'h2c' } },
  ])
    assert.equal((await change(on, settings)).edge.state, 'active');
});

test('an offline host gets edge settings when it connects, and again until it answers', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await goLive(on, agent);
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
  assert.equal((await change(on, { edge: { maintenance: true } })).edge.state, 'offline');
  for (let n = 0; n < 2; n += 1) {
    const again = await on.connect();
    assert.equal((await orderOf(on, again)).revision, 1);
    await again.leave();
  }
});

test('the reason why a host has not applied edge settings is shown until it applies them', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await goLive(on, agent);
  await change(on, { edge: { maintenance: true } });
  say(on, agent, 1, { code: 'ORK_ROUTE_TAKEN', message: 'Somebody has it.', evidence: [] });
  await until(async () => (await stateOf(on)) === 'failed');
  const shown = (await (await on.api('GET', PATH)).json()) as Shown;
  assert.equal(shown.edge.error?.code, 'ORK_ROUTE_TAKEN');
  say(on, agent, 1);
  await until(async () => (await stateOf(on)) === 'active');
});

test('an agent with the previous protocol gets edge settings with the next deployment, and the state shows that', async (t) => {
  const on = await hub(t);
  const agent = await on.connect({ protocol: 2 });
  await goLive(on, agent);
  assert.equal((await change(on, { edge: { maintenance: true } })).edge.state, 'deployment');
  await goLive(on, agent);
  assert.equal(await stateOf(on), 'active');
  assert.deepEqual(
    agent.heard.filter(({ type }) => type === 'edge'),
    [],
  );
  const job = agent.jobs.at(-1);
  assert.ok(job?.kind === 'deploy');
  assert.deepEqual([job.edgeRevision, job.settings.edge.maintenance], [1, true]);
});

test('edge settings that change during a deployment are sent after it, even after the first one', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const { environmentId, account } = on;
  const wanted = { environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: account.userId } as const;
  await on.deps.scheduler.create(wanted);
  const job = await agent.job();
  assert.equal((await change(on, { edge: { maintenance: true } })).edge.state, 'deployment');
  await agent.live(job);
  assert.equal((await orderOf(on, agent)).edge.maintenance, true);
});

test('a hub restored from a backup continues with a revision above the one that the host knows', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await goLive(on, agent);
  await change(on, { edge: { maintenance: true } });
  assert.equal((await orderOf(on, agent)).revision, 1);
  say(on, agent, 41);
  const again = await orderOf(on, agent);
  assert.deepEqual([again.revision, again.edge.maintenance], [42, true]);
});

test('a host cannot report edge states of an environment on another host', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await goLive(on, agent);
  await change(on, { edge: { maintenance: true } });
  const stranger = await on.connect({ host: await on.addHost('vps-2') });
  say(on, stranger, 1);
  say(on, stranger, 99);
  stranger.say({ type: 'renew', deploymentIds: [] });
  await stranger.report({ kind: 'log', deploymentId: on.environmentId, step: 'build', offset: 0, data: '' });
  assert.equal(await stateOf(on), 'sent');
});
