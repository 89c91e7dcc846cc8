/** Live apps that hosts report as down: what the API shows, and which notices are sent. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { type DownApp, EnrolAnswer, MAX_DOWN_APPS } from '../../protocol/agent-link.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { Environment, Host, MadeHost, ProjectInShort, Receiver } from '../api/schemas.ts';
import { putDown } from '../store/down-apps.ts';
import { hub, type TestHub } from '../test-hub.ts';

const MINUTE = 60_000;
const SINCE = '2029-12-31T23:59:00.000Z';
const PRODUCTION = '/projects/shop/environments/production';

/** Makes a deployment of the environment the live one. */
async function goLive(on: TestHub, generation: number): Promise<string> {
  const id = randomUUIDv7();
  const { db, clock } = on.deps;
  await db.updateTable('deployment').set({ status: 'superseded' }).where('status', '=', 'live').execute();
  await db
    .insertInto('deployment')
    .values({
      id,
      environment_id: on.environmentId,
      kind: 'deploy',
      trigger: 'manual',
      status: 'live',
      generation,
      commit: 'a'.repeat(40),
      branch: 'main',
      env_version: 0,
      variables: 'current',
      cancel_requested: 0,
      created_at: clock.now().toISOString(),
    })
    .execute();
  return id;
}

const shown = async (on: TestHub): Promise<Environment['down']> =>
  Environment.parse(await (await on.api('GET', PRODUCTION)).json()).down;

interface Told {
  readonly kind: string;
  readonly summary: string;
}
async function told(on: TestHub): Promise<string[]> {
  const receivers = Receiver.array().parse(await (await on.api('GET', '/projects/shop/receivers')).json());
  const deliveries = receivers.flatMap((receiver) => receiver.deliveries).toReversed();
  return deliveries.flatMap(({ notices }) => notices.map(({ kind, summary }: Told) => `${kind} ${summary}`));
}

const DOWN = 'app.down shop/production: the app is down';
const BACK = 'app.back shop/production: the app is back';

async function start(t: Parameters<typeof hub>[0]) {
  const on = await hub(t);
  const receiver = { kind: 'slack', address: 'https://chat.example.com/x' };
  assert.equal((await on.api('POST', '/projects/shop/receivers', receiver)).status, 201);
  const deploymentId = await goLive(on, 1);
  const down = (changes: Partial<DownApp> = {}): DownApp => ({
    environmentId: on.environmentId,
    deploymentId,
    since: SINCE,
    exitCode: 1,
    restarts: 14,
    error: { code: 'ORK_APP_EXITED', message: 'The app exited with code 1.', evidence: [] },
    ...changes,
  });
  return { on, down, agent: await on.connect() };
}

test('an app that is down is shown everywhere at once; one notice is sent after two minutes, and one when it is back', async (t) => {
  const { on, down, agent } = await start(t);
  assert.equal(await shown(on), null);
  await agent.beat({ downApps: [down()] });
  const { since, exitCode, restarts, error } = down();
  const state = { since, exitCode, restarts, error };
  assert.deepEqual(await shown(on), state);
  const [shop] = ProjectInShort.array().parse(await (await on.api('GET', '/overview')).json());
  assert.deepEqual(shop?.environments[0]?.down, state);
  const [host] = Host.array().parse(await (await on.api('GET', '/hosts')).json());
  assert.deepEqual(host?.downApps, [{ project: 'shop', environment: 'production', ...state }]);
  assert.ok(host.status && !('downApps' in host.status));
  on.pass(1.9 * MINUTE);
  // The host has restarted its agent, and looked anew.
  await agent.beat({ downApps: [down({ restarts: 15, since: '2030-01-01T00:01:00.000Z' })] });
  assert.deepEqual(await told(on), []);
  assert.deepEqual(await shown(on), { ...state, restarts: 15 });
  on.pass(0.2 * MINUTE);
  for (let n = 0; n < 3; n += 1) await agent.beat({ downApps: [down({ restarts: 16 + n })] });
  // An agent that does not know yet reports nothing.
  await agent.beat();
  assert.deepEqual(await shown(on), { ...state, restarts: 18 });
  await agent.beat({ downApps: [] });
  assert.equal(await shown(on), null);
  assert.deepEqual(await told(on), [DOWN, BACK]);
  const { notices } = await on.deps.db.selectFrom('delivery').select('notices').executeTakeFirstOrThrow();
  assert.match(notices, /The app exited with code 1\. Docker has restarted it 16 times\./);
  assert.match(notices, /"path":"\/projects\/shop\/environments\/production\/logs"/);
});

test('no notice is sent of an app that is back soon, nor because the clock of the hub was set', async (t) => {
  const { on, down, agent } = await start(t);
  await agent.beat({ downApps: [down()] });
  await agent.beat({ downApps: [] });
  await agent.beat({ downApps: [down()] });
  on.setClock(480 * MINUTE);
  await agent.beat({ downApps: [down()] });
  on.pass(1.9 * MINUTE);
  await agent.beat({ downApps: [down()] });
  assert.deepEqual(await told(on), []);
  on.pass(0.2 * MINUTE);
  await agent.beat({ downApps: [down()] });
  assert.deepEqual(await told(on), [DOWN]);
});

test('when a new deployment goes live, reports about the one before no longer count', async (t) => {
  const { on, down, agent } = await start(t);
  await agent.beat({ downApps: [down()] });
  on.pass(3 * MINUTE);
  await agent.beat({ downApps: [down()] });
  const deploymentId = await goLive(on, 2);
  assert.equal(await shown(on), null);
  const [host] = Host.array().parse(await (await on.api('GET', '/hosts')).json());
  assert.deepEqual(host?.downApps, []);
  // The host has not noticed yet.
  await agent.beat({ downApps: [down()] });
  assert.equal(await shown(on), null);
  assert.deepEqual(await told(on), [DOWN, BACK]);
  await agent.beat({ downApps: [down({ deploymentId, since: '2040-01-01T00:00:00.000Z' })] });
  assert.equal((await shown(on))?.since, on.deps.clock.now().toISOString(), "the host's clock is ahead");
  on.pass(3 * MINUTE);
  await agent.beat({ downApps: [down({ deploymentId })] });
  assert.deepEqual(await told(on), [DOWN, BACK, DOWN]);
});

test('what a host reports about environments of another host is ignored', async (t) => {
  const { on, down, agent } = await start(t);
  const other = await on.addHost('other');
  const stranger = await on.connect({ host: other });
  await stranger.beat({ downApps: [down()] });
  assert.equal(await shown(on), null);
  await agent.beat({ downApps: [down()] });
  await stranger.beat({ downApps: [] });
  assert.notEqual(await shown(on), null);
});

test('with very many apps down, one that is left out does not count as back', async (t) => {
  const { on, down, agent } = await start(t);
  await agent.beat({ downApps: [down()] });
  const many = Array.from({ length: MAX_DOWN_APPS }, () => down({ environmentId: randomUUIDv7() }));
  await agent.beat({ downApps: many });
  assert.notEqual(await shown(on), null);
});

test('deleting an environment also deletes the report that its app is down', async (t) => {
  const { on, down, agent } = await start(t);
  await agent.beat({ downApps: [down()] });
  assert.equal((await on.api('DELETE', '/projects/shop/environments/production')).status, 204);
  assert.deepEqual(await on.deps.db.selectFrom('down_app').selectAll().execute(), []);
  await agent.beat({ downApps: [down()] });
  assert.deepEqual(await on.deps.db.selectFrom('down_app').selectAll().execute(), []);
});

test('a new machine that takes the place of a host does not inherit its reports of apps that are down', async (t) => {
  const { on, down, agent } = await start(t);
  await agent.beat({ downApps: [down()] });
  const { id: host_id } = await on.addHost('other');
  const elsewhere = await on.addEnvironment('elsewhere', 'main');
  await on.deps.db.updateTable('environment').set({ host_id }).where('id', '=', elsewhere).execute();
  await putDown(on.deps.db, down({ environmentId: elsewhere }), SINCE);
  const made = await on.api('POST', `/hosts/${on.hostId}/join-token`);
  const { joinToken } = MadeHost.parse(await made.json());
  const { publicKey } = makeKeyPair();
  const answer = await fetch(`${on.url}/api/v1/enrol`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ joinToken, name: 'new machine', publicKey }),
  });
  assert.equal(EnrolAnswer.parse(await answer.json()).hostId, on.hostId);
  const left = await on.deps.db.selectFrom('down_app').select('environment_id').execute();
  assert.deepEqual(left, [{ environment_id: elsewhere }]);
});
