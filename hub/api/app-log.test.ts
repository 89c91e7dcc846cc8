import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import fastify from 'fastify';
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { AppLogChunk, AppLogOrder } from '../../protocol/app-log.ts';
import { APP_LOG_WINDOW, MAX_APP_LOG_POSITIONS } from '../../protocol/app-log.ts';
import { OLDEST_PROTOCOL } from '../../protocol/versions.ts';
import { until } from '../../test/harness/until.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { AT, COMMIT } from '../test-release.ts';
import { registerAuth } from '../auth/hook.ts';
import type { HubApp } from '../deps.ts';
import { createAccount } from '../setup.ts';
import { registerAppLog, type AppLogLimits } from './app-log.ts';
import { registerProblems } from './problem.ts';
import { API_PREFIX } from './paths.ts';
import { AppLogEvent } from './schemas.ts';

const PATH = '/projects/shop/environments/production/app-log';
const TIME = '2030-01-01T00:00:00.00000000';

async function hub(t: TestContext): Promise<TestHub> {
  const started = await startTestHub();
  t.after(() => started.stop());
  return started;
}

interface Asking {
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly token?: string;
  readonly url?: string;
}

function ask(on: TestHub, { query = '', headers = {}, token = on.account.token, url = on.url }: Asking = {}) {
  const stop = new AbortController();
  const response = fetch(`${url}/api/v1${PATH}${query}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    signal: stop.signal,
  });
  return { response, abort: () => stop.abort() };
}

const EVENTS = { accept: 'text/event-stream' };

const lines = (order: AppLogOrder, deploymentId: string, ...texts: string[]): AppLogChunk => ({
  type: 'app-log-chunk',
  readId: order.readId,
  deploymentId,
  leftOut: 0,
  lines: texts.map((text, n) => ({ at: `${TIME}${n}Z`, stream: 'stdout', text })),
});

const deploy = (on: TestHub): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: 'manual',
    commit: COMMIT,
    branch: 'main',
    userId: null,
  });

const problemOf = async (response: Response): Promise<unknown[]> => {
  const { code, detail } = (await response.json()) as { code: string; detail: string };
  return [response.status, code, detail];
};

test('an app log is served as text, and as events with times, versions and ids to resume from', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const text = ask(on, { query: '?tail=5&since=10m' });
  const order = await agent.next('app-log');
  assert.partialDeepStrictEqual(order, {
    environmentId: on.environmentId,
    tail: 5,
    sinceSeconds: 600,
    follow: false,
    after: [],
  });
  agent.say(lines(order, id, 'one', 'two'));
  agent.say({ ...lines(order, id, 'three'), leftOut: 1200 });
  agent.say(lines(order, randomUUIDv7(), 'of the next version'));
  agent.say({ type: 'app-log-end', readId: order.readId });
  const answer = await text.response;
  assert.deepEqual(
    [answer.headers.get('content-type'), answer.headers.get('cache-control')],
    ['text/plain; charset=utf-8', 'no-store'],
  );
  assert.match(
    await answer.text(),
    /^one\ntwo\n\[orkestr: 1,200 lines left out: the reader was too slow\]\nthree\n\[orkestr: from here on deployment [-\w]+\]\nof the next version\n$/,
  );

  const stamped = ask(on, { query: '?timestamps=true' });
  const again = await agent.next('app-log');
  agent.say(lines(again, id, 'one'));
  agent.say({ type: 'app-log-end', readId: again.readId });
  assert.match(await (await stamped.response).text(), /^2\d{3}-\d\d-\d\dT[\d:.]+Z one\n$/);

  const events = ask(on, { query: '?follow=true', headers: { ...EVENTS, 'last-event-id': `${id}@${TIME}1Z` } });
  const resumed = await agent.next('app-log');
  assert.deepEqual([resumed.follow, resumed.after], [true, [{ deploymentId: id, at: `${TIME}1Z` }]]);
  agent.say(lines(resumed, id));
  agent.say(lines(resumed, id, 'four'));
  agent.say({ type: 'app-log-end', readId: resumed.readId });
  const blocks = (await (await events.response).text()).trimEnd().split('\n\n');
  const told = blocks.map((block) => AppLogEvent.parse(JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '')));
  assert.deepEqual(told, [
    { kind: 'version', deployment: id, commit: COMMIT },
    { kind: 'lines', deployment: id, lines: [{ at: `${TIME}0Z`, stream: 'stdout', text: 'four' }] },
    { kind: 'end', error: null },
  ]);
  assert.match(blocks[1] ?? '', new RegExp(`^id: ${id}@${TIME}0Z$`, 'm'));
});

test('the resume position keeps only the newest versions that a host named, however many it invents', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const events = ask(on, { headers: EVENTS });
  const order = await agent.next('app-log');
  const versions = Array.from({ length: MAX_APP_LOG_POSITIONS + 1 }, () => randomUUIDv7());
  for (const version of [...versions, versions[0] ?? '']) {
    agent.say(lines(order, version, 'one'));
    await agent.next('app-log-credit');
  }
  agent.say({ type: 'app-log-end', readId: order.readId });
  const text = await (await events.response).text();
  assert.equal(text.match(/"kind":"version"/g)?.length, versions.length + 1);
  const last =
    text
      .match(/^id: .*$/gm)
      ?.at(-1)
      ?.split(',') ?? [];
  assert.deepEqual(
    last.map((position) => /[^ @]+(?=@)/.exec(position)?.[0]),
    [...versions.slice(2), versions[0]],
  );
});

test('a log that cannot be read yields a problem with its status and a remedy', async (t) => {
  const on = await hub(t);
  const offline = await problemOf(await ask(on).response);
  assert.deepEqual(offline.slice(0, 2), [503, 'ORK_HOST_OFFLINE']);
  assert.match(String(offline[2]), /orkestr-agent logs --app/);
  const old = await on.connect({ protocol: OLDEST_PROTOCOL });
  assert.deepEqual((await problemOf(await ask(on).response)).slice(0, 2), [400, 'ORK_PROTOCOL_AGENT_OLD']);
  assert.ok(!old.heard.some(({ type }) => type === 'app-log'));
  await old.leave();
  const agent = await on.connect();
  const refused = ask(on);
  const { readId } = await agent.next('app-log');
  const error = { code: 'ORK_APP_NOT_LIVE' as const, message: 'Nothing serves there.', evidence: [] };
  agent.say({ type: 'app-log-end', readId, error });
  assert.deepEqual(await problemOf(await refused.response), [409, 'ORK_APP_NOT_LIVE', 'Nothing serves there.']);
  for (const query of ['?tail=10001', '?since=yesterday', '?follow=maybe', '?after=nonsense']) {
    assert.equal((await ask(on, { query }).response).status, 400, query);
  }
  const stranger = await createAccount(on.deps.db, on.deps.clock, {
    email: 'b@example.com',
    team: 'Other',
    plan: 'pro',
  });
  assert.equal((await ask(on, { token: stranger.token }).response).status, 404);
});

test('the hub stops the read on the host when the reader disconnects', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const reader = ask(on, { query: '?follow=true', headers: EVENTS });
  const order = await agent.next('app-log');
  agent.say(lines(order, randomUUIDv7(), 'one'));
  await reader.response;
  reader.abort();
  assert.equal((await agent.next('app-log-close')).readId, order.readId);
});

test('a host that disconnects ends the read with its error code, after the lines that arrived', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const reader = ask(on, { query: '?follow=true', headers: EVENTS });
  const order = await agent.next('app-log');
  agent.say(lines(order, randomUUIDv7(), 'one'));
  const answer = await reader.response;
  await agent.leave();
  assert.match(await answer.text(), /"text":"one".*"code":"ORK_HOST_OFFLINE"/s);
});

test('the hub grants credit as the reader reads, so a slow reader throttles the host while reports go on', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  const reader = ask(on, { query: '?follow=true', headers: EVENTS });
  const order = await agent.next('app-log');
  const full = lines(order, id, ...Array.from({ length: 8 }, () => 'x'.repeat(60_000)));
  let [sent, credit] = [0, APP_LOG_WINDOW];
  const credits = (): number => agent.heard.filter(({ type }) => type === 'app-log-credit').length;
  const [answer] = await Promise.all([reader.response, pump()]);

  /** Sends as an agent does, within its credit, until the sockets between hub and client are full. */
  async function pump(): Promise<void> {
    for (let still = 0; still < 20; still += 1) {
      for (; credit + credits() > sent; sent += 1, still = 0) agent.say(full);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  await pump();
  assert.ok(sent - credits() <= APP_LOG_WINDOW, 'No more is on its way than was asked for.');
  const held = sent;
  await agent.report({ kind: 'deployment', deploymentId: id, generation: 1, status: 'running', at: AT });
  // Nobody reads: as much as possible was sent, and that is bounded.
  assert.ok(held < 200, `${held} chunks of half a megabyte`);
  let bytes = 0;
  const taking = (async () => {
    for await (const part of answer.body ?? []) bytes += (part as Uint8Array).length;
  })();
  await until(() => bytes > 1_000_000);
  await until(() => credits() >= held - APP_LOG_WINDOW);
  agent.say({ type: 'app-log-end', readId: order.readId });
  await taking;
});

test('the hub disconnects a host that sends more than its credit allows', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const reader = ask(on, { query: '?follow=true', headers: EVENTS });
  const order = await agent.next('app-log');
  // All at once, so that nothing can be read in between.
  for (let n = 0; n < 500; n += 1) agent.say(lines(order, randomUUIDv7(), 'x'.repeat(60_000)));
  assert.equal(await agent.closed, 1008);
  reader.abort();
  await reader.response.catch(() => undefined);
});

async function served(t: TestContext, on: TestHub, limits: Partial<AppLogLimits>): Promise<string> {
  const app: HubApp = fastify().withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.decorateRequest('cookies');
  registerProblems(app);
  registerAuth(app, on.deps, API_PREFIX);
  const all = {
    heartbeatMs: 15_000,
    stuckMs: 5000,
    answerMs: 5000,
    concurrency: { inAll: 9, ofOne: 9 },
    ofHost: 9,
    ...limits,
  };
  await app.register(
    (api, _options, done) => {
      registerAppLog(api, on.deps, all);
      done();
    },
    { prefix: '/api/v1' },
  );
  t.after(() => app.close());
  return app.listen({ host: '127.0.0.1', port: 0 });
}

test('one client cannot use up the concurrent reads of a host', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const url = await served(t, on, { ofHost: 1 });
  const reader = ask(on, { url, query: '?follow=true', headers: EVENTS });
  const order = await agent.next('app-log');
  const [status, code, detail] = await problemOf(await ask(on, { url }).response);
  assert.deepEqual([status, code], [429, 'ORK_TOO_MANY_REQUESTS']);
  assert.match(String(detail), /of this host/);
  reader.abort();
  await reader.response.catch(() => undefined);
  assert.equal((await agent.next('app-log-close')).readId, order.readId);
});

test('concurrent reads are limited, a silent host is reported as offline, and a revoked token ends the read', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const silent = ask(on, { url: await served(t, on, { answerMs: 100 }) });
  const order = await agent.next('app-log');
  assert.deepEqual((await problemOf(await silent.response)).slice(0, 2), [503, 'ORK_HOST_OFFLINE']);
  assert.equal((await agent.next('app-log-close')).readId, order.readId);
  const url = await served(t, on, { heartbeatMs: 20, answerMs: 60_000, concurrency: { inAll: 9, ofOne: 1 } });
  const reader = ask(on, { url, query: '?follow=true', headers: EVENTS });
  const next = await agent.next('app-log');
  assert.equal((await ask(on, { url }).response).status, 429);
  agent.say(lines(next, randomUUIDv7(), 'one'));
  const answer = await reader.response;
  await on.deps.db.deleteFrom('api_token').execute();
  await answer.text();
  assert.equal((await agent.next('app-log-close')).readId, next.readId);
});
