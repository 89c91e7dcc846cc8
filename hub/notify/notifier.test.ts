/** From what happens to what arrives: the whole flow of the hub, and receivers that are really there. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import { until } from '../../test/harness/until.ts';
import type { ScriptedAgent } from '../agents/test-agent.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { AT, COMMIT } from '../test-release.ts';
import { MadeReceiver, Receiver } from '../api/schemas.ts';
import { GRACE_SECONDS, LEASE_SECONDS } from '../scheduler/lease.ts';
import { KEPT, MOST_NOTICES } from '../store/deliveries.ts';
import type { Message } from './notice.ts';
import { makeNotifier } from './notifier.ts';
import { tell } from './tell.ts';
import { startReceiver, type TestReceiver } from './test-receiver.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const COLLECTED = 10_000;
const env = { ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1' };

interface Told {
  readonly on: TestHub;
  readonly receiver: TestReceiver;
  /** Messages that arrived, each once. */
  messages(this: void): Message[];
  /** Kinds of all notices that arrived, in order. */
  kinds(this: void): string[];
  /** Lets so much time pass, and sends what is due then. */
  later(this: void, ms: number): Promise<void>;
}

async function start(t: TestContext, stopped = false): Promise<Told> {
  const on = await startTestHub({ env });
  if (!stopped) t.after(() => on.stop());
  const receiver = await startReceiver(t);
  return { ...toldBy(on, receiver), on, receiver };
}

function toldBy(on: TestHub, receiver: TestReceiver): Omit<Told, 'on' | 'receiver'> {
  const messages = (): Message[] => receiver.got.map(({ body }) => JSON.parse(body) as Message);
  return {
    messages,
    kinds: () => messages().flatMap(({ notices }) => notices.map(({ kind }) => kind)),
    async later(ms) {
      on.pass(ms);
      await on.deps.notifier.sweep();
    },
  };
}

async function add(on: TestHub, path: string, body: object): Promise<MadeReceiver> {
  const answer = await on.api('POST', path, body);
  assert.equal(answer.status, 201, await answer.clone().text());
  return MadeReceiver.parse(await answer.json());
}

const list = async (on: TestHub, path = '/projects/shop/receivers'): Promise<Receiver[]> =>
  Receiver.array().parse(await (await on.api('GET', path)).json());

async function deploy(on: TestHub, agent: ScriptedAgent): Promise<Job> {
  await on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: 'push',
    commit: COMMIT,
    branch: 'main',
    userId: null,
  });
  return agent.job();
}

async function fail(agent: ScriptedAgent, { deploymentId, generation }: Job, error: Partial<ErrorReport> = {}) {
  const report: ErrorReport = {
    code: 'ORK_BUILD_FAILED',
    message: 'It ended with exit code 1.',
    evidence: [],
    ...error,
  };
  const step = { kind: 'step', deploymentId, step: 'build', status: 'failed', startedAt: AT, ms: 1 } as const;
  await agent.report({ ...step, error: report });
  await agent.report({ kind: 'deployment', deploymentId, generation, status: 'failed', at: AT, error: report });
}

/** Something happens that needs no agent. */
const tellOf = (on: TestHub): Promise<void> =>
  tell(
    on.deps.db,
    { teamId: on.account.teamId, projectIds: [] },
    {
      kind: 'host.back',
      at: on.deps.clock.now().toISOString(),
      summary: 'vps-1:\r\nthe \u001b[1mhost is back',
      path: '/hosts',
    },
  );

async function leave(on: TestHub, agent: ScriptedAgent): Promise<void> {
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
}

test('a failed deployment is told with project, step, error, mend and link, and nothing of its evidence', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  const job = await deploy(on, agent);
  await fail(agent, job, {
    message: 'It \u001b[31mended\u001b[0m\nbadly.',
    evidence: ['DATABASE_URL=postgres://secret'],
  });
  await later(0);
  assert.equal(receiver.got.length, 0, 'what comes right after is told with it');
  await later(COLLECTED);
  const [message, ...others] = messages();
  assert.deepEqual(others, []);
  assert.deepEqual(message?.notices, [
    {
      kind: 'deployment.failed',
      at: AT,
      summary: 'shop/production: the deployment failed at build',
      project: { id: on.projectId, slug: 'shop' },
      environment: { id: on.environmentId, slug: 'production' },
      deployment: { id: job.deploymentId, commit: COMMIT, branch: 'main', trigger: 'push', step: 'build' },
      host: null,
      error: {
        code: 'ORK_BUILD_FAILED',
        message: 'It ended badly.',
        mend: 'A command of the build failed. Its output is the end of the build log.',
        retry: false,
      },
      url: `${on.url}/deployments/${job.deploymentId}`,
    },
  ]);
  assert.equal(receiver.got[0]?.headers['webhook-id'], message?.id);
  await later(MINUTE);
  assert.equal(receiver.got.length, 1, 'it is sent once');
});

test('live again after a failure is told, each live one only to who asks for it, flips back to who hears of failures', async (t) => {
  const { on, receiver, kinds, later } = await start(t);
  const all = await startReceiver(t);
  const failures = await startReceiver(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  await add(on, '/receivers', { kind: 'webhook', address: all.url, notices: ['deployment.live'] });
  await add(on, '/receivers', {
    name: 'fails',
    kind: 'webhook',
    address: failures.url,
    notices: ['deployment.failed'],
  });
  const agent = await on.connect();
  await agent.live(await deploy(on, agent));
  await fail(agent, await deploy(on, agent), { code: 'ORK_APP_REGRESSED' });
  await agent.end(await deploy(on, agent), 'cancelled');
  await agent.live(await deploy(on, agent));
  await agent.live(await deploy(on, agent));
  await later(COLLECTED);
  assert.deepEqual(kinds(), ['deployment.reverted', 'deployment.recovered']);
  assert.deepEqual(toldBy(on, all).kinds(), ['deployment.live', 'deployment.recovered', 'deployment.live']);
  assert.deepEqual(toldBy(on, failures).kinds(), ['deployment.reverted']);
});

test('a deployment that is given up with its host is told, and that it is live after all', async (t) => {
  const { on, receiver, kinds, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  const job = await deploy(on, agent);
  await leave(on, agent);
  on.pass((LEASE_SECONDS + GRACE_SECONDS + 1) * 1000);
  await on.deps.scheduler.sweep();
  await later(COLLECTED);
  const back = await on.connect({ running: [job.deploymentId] });
  await back.live(job);
  await later(2 * MINUTE);
  assert.deepEqual(kinds(), ['deployment.failed', 'deployment.recovered']);
});

test('who belongs to another project hears nothing of this one', async (t) => {
  const { on, receiver, later } = await start(t);
  assert.equal((await on.api('POST', '/projects', { slug: 'other', environment: { slug: 'production' } })).status, 201);
  await add(on, '/projects/other/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  await later(COLLECTED);
  assert.equal(receiver.got.length, 0);
});

test('a burst is a few messages, each bounded, and what has no room is counted', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  for (let n = 0; n < MOST_NOTICES + 5; n += 1) await tellOf(on);
  await later(COLLECTED);
  await fail(agent, await deploy(on, agent));
  await later(COLLECTED);
  await fail(agent, await deploy(on, agent));
  await later(COLLECTED);
  assert.deepEqual(
    messages().map(({ notices, leftOut }) => [notices.length, leftOut]),
    [[MOST_NOTICES, 5]],
    'after a message the next one is gathered for a minute',
  );
  assert.equal(messages()[0]?.notices[0]?.summary, 'vps-1: the host is back');
  await later(MINUTE);
  assert.equal(messages()[1]?.notices.length, 2);
});

test('a receiver that is away gets it later under the same id, also after a restart of the hub', async (t) => {
  const { on, receiver, messages, later } = await start(t, true);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  receiver.answer = 503;
  await later(COLLECTED);
  const [{ deliveries }] = (await list(on)) as [Receiver];
  assert.deepEqual(
    deliveries.map(({ state, attempts, error }) => [state, attempts, error?.code, error?.message.split(' ').slice(1)]),
    [['sending', 1, 'ORK_NOTIFY_ANSWER', ['answered', 'with', 'HTTP', '503.']]],
  );
  await fail(agent, await deploy(on, agent));
  await on.stop(true);
  const again = await startTestHub({ env, resume: on });
  t.after(() => again.stop());
  receiver.answer = 200;
  again.pass(COLLECTED + MINUTE);
  await again.deps.notifier.sweep();
  const ids = messages().map(({ id }) => id);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  const states = async () => (await list(again))[0]?.deliveries.map(({ state }) => state);
  await again.deps.notifier.sweep();
  assert.deepEqual(await states(), ['collecting', 'sent'], 'what came meanwhile waits for a minute, too');
  again.pass(MINUTE);
  await again.deps.notifier.sweep();
  assert.deepEqual(await states(), ['sent', 'sent']);
});

test('what is to be sent by a clock that was ahead is sent once it was set right', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  const away = await startReceiver(t);
  on.setClock(8 * HOUR);
  await add(on, '/receivers', { name: 'well', kind: 'webhook', address: receiver.url });
  await add(on, '/receivers', { name: 'away', kind: 'webhook', address: away.url });
  away.answer = 503;
  await tellOf(on);
  await later(COLLECTED);
  await tellOf(on);
  away.answer = 200;
  on.setClock(-8 * HOUR);
  await later(0);
  assert.deepEqual([messages().length, away.got.length], [2, 2], 'what collects, and what is tried again');
});

test('a receiver that had a message by a clock that was ahead gets the next one when the hub started with the right one', async (t) => {
  const { on, receiver, messages, later } = await start(t, true);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  on.setClock(8 * HOUR);
  await tellOf(on);
  await later(COLLECTED);
  assert.equal(messages().length, 1);
  await on.stop(true);
  const again = await startTestHub({ env, resume: on });
  t.after(() => again.stop());
  await again.deps.notifier.sweep();
  await tellOf(again);
  again.pass(COLLECTED);
  await again.deps.notifier.sweep();
  assert.equal(messages().length, 2);
});

test('a try that a killed hub never ended is made again', async (t) => {
  const { on, receiver, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  on.pass(COLLECTED);
  receiver.answer = 0;
  const dying = on.deps.notifier.sweep();
  await until(() => receiver.got.length > 0);
  await on.deps.notifier.stop();
  await dying;
  receiver.answer = 200;
  const again = makeNotifier(on.deps);
  await later(0);
  assert.equal(receiver.got.length, 1);
  assert.equal((await list(on))[0]?.deliveries[0]?.error, null, 'that the hub ended is no fault of the receiver');
  on.pass(2 * MINUTE);
  await again.sweep();
  assert.equal(receiver.got.length, 2);
  assert.equal((await list(on))[0]?.deliveries[0]?.attempts, 2);
});

test('what is due while the hub stops is left to the next one', async (t) => {
  const { on, receiver } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  on.pass(COLLECTED);
  const looking = on.deps.notifier.sweep();
  await on.deps.notifier.stop();
  await looking;
  assert.equal((await list(on))[0]?.deliveries[0]?.attempts, 0);
  assert.equal(receiver.got.length, 0);
});

test('after a day it is given up, with the reason, and what came meanwhile goes next', async (t) => {
  const { on, receiver, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  receiver.answer = 410;
  await later(COLLECTED);
  const tries: number[] = [];
  for (let hour = 0; hour < 23; hour += 1) {
    const before = receiver.got.length;
    for (let minute = 0; minute < 60; minute += 1) await later(MINUTE);
    tries.push(receiver.got.length - before);
    if (hour === 20) await fail(agent, await deploy(on, agent));
  }
  assert.ok((tries[0] ?? 0) >= 4 && (tries.at(-1) ?? 9) <= 2, `fewer and fewer: ${tries.join(' ')}`);
  for (let minute = 0; minute < 180; minute += 1) await later(MINUTE); // the last pause may be of 90
  const shown = async () =>
    (await list(on))[0]?.deliveries.map(({ state, error }) => [state, error?.code ?? null]).toReversed();
  assert.deepEqual(await shown(), [
    ['given-up', 'ORK_NOTIFY_ANSWER'],
    ['sending', 'ORK_NOTIFY_ANSWER'],
  ]);
  receiver.answer = 200;
  for (let minute = 0; minute < 100; minute += 1) await later(MINUTE);
  assert.deepEqual((await shown())?.at(-1), ['sent', null]);
});

test('a receiver that never answers delays neither reports nor other receivers', async (t) => {
  const { on, receiver, later } = await start(t);
  const stuck = await startReceiver(t);
  stuck.answer = 0;
  await add(on, '/receivers', { name: 'stuck', kind: 'webhook', address: stuck.url });
  await add(on, '/receivers', { name: 'well', kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  on.pass(COLLECTED);
  const sending = on.deps.notifier.sweep();
  await until(() => stuck.got.length > 0 && receiver.got.length > 0);
  await agent.live(await deploy(on, agent));
  await on.deps.notifier.stop();
  await sending;
  await later(0);
});

test('a host that is away is told once after a while, and once when it is back to stay', async (t) => {
  const { on, receiver, messages, kinds, later } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  const { hostWatch } = on.deps;
  const watch = async (ms: number): Promise<void> => {
    on.pass(ms);
    await hostWatch.sweep();
    await later(COLLECTED);
  };
  await leave(on, await on.connect());
  await watch(4 * MINUTE);
  assert.deepEqual(kinds(), []);
  await watch(2 * MINUTE);
  await watch(MINUTE);
  assert.deepEqual(kinds(), ['host.offline']);
  const [notice] = messages()[0]?.notices ?? [];
  assert.deepEqual(notice?.host, { id: on.hostId, name: 'vps-1' });
  assert.deepEqual([notice?.error?.code, notice?.url], ['ORK_HOST_OFFLINE', `${on.url}/hosts`]);
  // It comes and goes.
  for (let n = 0; n < 5; n += 1) {
    const agent = await on.connect();
    await watch(20_000);
    await leave(on, agent);
    await watch(10 * MINUTE);
  }
  assert.deepEqual(kinds(), ['host.offline']);
  await on.connect();
  await watch(2 * MINUTE);
  await watch(2 * MINUTE);
  assert.deepEqual(kinds(), ['host.offline', 'host.back']);
});

test('a clock that is set makes no host away or back, nor keeps one that is from being told', async (t) => {
  for (const setMs of [2 * HOUR, -8 * HOUR]) {
    const { on, receiver, kinds, later } = await start(t);
    await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
    const watch = async (ms: number): Promise<void> => {
      on.pass(ms);
      await on.deps.hostWatch.sweep();
      await later(COLLECTED);
    };
    await leave(on, await on.connect());
    await watch(MINUTE);
    on.setClock(setMs);
    await watch(4 * MINUTE);
    assert.deepEqual(kinds(), []);
    await watch(2 * MINUTE);
    assert.deepEqual(kinds(), ['host.offline'], `${setMs}`);
    await on.connect();
    on.setClock(setMs);
    await watch(30_000);
    await watch(MINUTE);
    assert.deepEqual(kinds(), ['host.offline', 'host.back'], `${setMs}`);
  }
});

test('an upgrade that a host reverted is told to the team and to the projects on it', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  const { teamId } = on.account;
  await on.deps.upgrades.create({ teamId, version: '2.0.0', hostIds: [on.hostId], atOnce: 1 });
  const { upgradeId } = await agent.next('upgrade');
  const error = { code: 'ORK_UPGRADE_UNHEALTHY' as ErrorCode, message: 'It did not come up.', evidence: [] };
  agent.say({ type: 'upgrade-state', upgradeId, version: '2.0.0', state: 'reverted', error });
  await until(async () => (await list(on))[0]?.deliveries.length === 1);
  await later(COLLECTED);
  const [notice] = messages()[0]?.notices ?? [];
  assert.equal(notice?.kind, 'upgrade.failed');
  assert.equal(notice?.summary, 'vps-1: the upgrade to 2.0.0 was reverted, the version before it runs again');
  assert.equal(notice?.error?.code, 'ORK_UPGRADE_UNHEALTHY');
});

test('where it goes is sealed at rest and in no answer, and the secret of a webhook is answered once', async (t) => {
  const { on, receiver } = await start(t);
  const made = await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  assert.match(made.secret ?? '', /^whsec_/);
  const rows = JSON.stringify(await on.deps.db.selectFrom('receiver').selectAll().execute());
  const answers = JSON.stringify(await list(on));
  for (const secret of ['secret-path', made.secret ?? '']) {
    assert.ok(!rows.includes(secret) && !answers.includes(secret), secret);
  }
  assert.equal((await list(on))[0]?.address, `${new URL(receiver.url).origin}/…`);
});

test('a test says at once what failed, and a receiver is named once in its place', async (t) => {
  const { on, receiver } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'slack', address: receiver.url });
  await add(on, '/receivers', { kind: 'slack', address: receiver.url });
  for (const path of ['/projects/shop/receivers', '/receivers']) {
    assert.equal((await on.api('POST', path, { kind: 'slack', address: receiver.url })).status, 409, path);
  }
  const trial = () => on.api('POST', '/projects/shop/receivers/slack/test');
  assert.equal((await trial()).status, 204);
  assert.match(receiver.got[0]?.body ?? '', /A test: notifications of orkestr arrive here/);
  for (const path of ['/projects/shop/receivers', '/receivers']) {
    assert.equal((await on.api('POST', `${path}/slack/test`)).status, 429, 'an address is tested once in a while only');
  }
  assert.equal(receiver.got.length, 1);
  on.pass(10_000);
  receiver.answer = 404;
  const answer = await trial();
  assert.deepEqual([answer.status, ((await answer.json()) as { code: string }).code], [502, 'ORK_NOTIFY_ANSWER']);
  assert.equal((await on.api('DELETE', '/projects/shop/receivers/slack')).status, 204);
  assert.equal((await trial()).status, 404);
  assert.deepEqual(
    (await list(on)).map(({ name, everywhere }) => [name, everywhere]),
    [['slack', true]],
  );
});

test('of what was sent the last ones are kept, and a removed receiver takes its own with it', async (t) => {
  const { on, receiver, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const count = async (): Promise<number> => (await on.deps.db.selectFrom('delivery').select('id').execute()).length;
  for (let n = 0; n < KEPT + 3; n += 1) {
    await tellOf(on);
    await later(2 * MINUTE);
  }
  assert.equal(receiver.got.length, KEPT + 3);
  assert.equal(await count(), KEPT);
  await on.api('DELETE', '/receivers/webhook');
  assert.equal(await count(), 0);
});
