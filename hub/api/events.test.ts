import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import fastify from 'fastify';
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Report } from '../../protocol/agent-link.ts';
import { until } from '../../test/harness/until.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { AT, COMMIT } from '../test-release.ts';
import { registerAuth } from '../auth/hook.ts';
import type { HubApp } from '../deps.ts';
import { createAccount } from '../setup.ts';
import { addLogChunk } from '../store/logs.ts';
import { registerEvents } from './events.ts';
import { registerProblems } from './problem.ts';
import { API_PREFIX } from './paths.ts';
import { DeploymentEvent } from './schemas.ts';

async function hub(t: TestContext): Promise<TestHub> {
  const started = await startTestHub();
  t.after(() => started.stop());
  return started;
}

const create = (on: TestHub): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: 'manual',
    commit: COMMIT,
    branch: 'main',
    userId: on.account.userId,
  });

const log = (deploymentId: string, offset: number, text: string | Buffer): Report => ({
  kind: 'log',
  deploymentId,
  step: 'build',
  offset,
  data: Buffer.from(text).toString('base64'),
});

interface Follower {
  readonly events: { readonly id: number; readonly event: DeploymentEvent }[];
  readonly ended: Promise<void>;
  abort(): void;
}

/** Reads the stream like a browser. */
async function follow(on: TestHub, id: string, after?: number): Promise<Follower> {
  const stop = new AbortController();
  const response = await fetch(`${on.url}/api/v1/deployments/${id}/events`, {
    headers: {
      authorization: `Bearer ${on.account.token}`,
      ...(after === undefined ? {} : { 'last-event-id': String(after) }),
    },
    signal: stop.signal,
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const events: Follower['events'] = [];
  const read = async (): Promise<void> => {
    let text = '';
    for await (const bytes of response.body ?? []) {
      text += Buffer.from(bytes as Uint8Array).toString('utf8');
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined) continue;
        const eventId = Number(/^id: (\d+)$/m.exec(block)?.[1] ?? -1);
        events.push({ id: eventId, event: DeploymentEvent.parse(JSON.parse(data)) });
      }
    }
  };
  const ended = read().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  return { events, ended, abort: () => stop.abort() };
}

const summary = ({ events }: Follower): string[] =>
  events.map(({ event }) => {
    if (event.kind === 'status') return `status ${event.deployment.status}`;
    if (event.kind === 'step') return `step ${event.step.name} ${event.step.status}`;
    if (event.kind === 'log') return `log ${event.offset} ${Buffer.from(event.data, 'base64').toString()}`;
    return `end ${event.status}`;
  });

test('a follower gets the history, then new events, then the end; a late follower gets the same', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  const job = await agent.job();
  await agent.report({ kind: 'step', deploymentId: id, step: 'build', status: 'running', startedAt: AT, ms: null });
  const live = await follow(on, id);
  await until(() => live.events.length === 3);
  await agent.report(log(id, 0, 'one'));
  await agent.report({ kind: 'step', deploymentId: id, step: 'build', status: 'done', startedAt: AT, ms: 3 });
  await agent.live(job);
  await live.ended;
  const expected = [
    'status queued',
    'status running',
    'step build running',
    'log 0 one',
    'step build done',
    'status live',
    'end live',
  ];
  assert.deepEqual(summary(live), expected);
  const late = await follow(on, id);
  await late.ended;
  assert.deepEqual(summary(late), expected);
  const over = await follow(on, id, late.events.at(-2)?.id);
  await over.ended;
  assert.deepEqual(summary(over), ['end live'], 'a follower that has seen everything is told that it is over');
  const headers = { authorization: `Bearer ${on.account.token}` };
  const asked = await fetch(`${on.url}/api/v1/deployments/${id}/events?after=${late.events.at(-2)?.id}`, { headers });
  assert.doesNotMatch(await asked.text(), /^id:/m, 'who cannot set a header says in the address what was seen');
});

test('a follower that reconnects often gets every event once and in order', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  const job = await agent.job();
  const seen: Follower['events'] = [];
  const count = 120;
  const feeding = (async () => {
    for (let n = 0; n < count; n += 1) await agent.report(log(id, n, String(n % 10)));
    await agent.live(job);
  })();
  while (seen.at(-1)?.event.kind !== 'end') {
    const part = await follow(on, id, seen.findLast((event) => event.id > 0)?.id ?? 0);
    const enough = 1 + (seen.length % 7);
    await Promise.race([part.ended, until(() => part.events.length >= enough)]);
    part.abort();
    await part.ended;
    seen.push(...part.events);
  }
  await feeding;
  const offsets = seen.flatMap(({ event }) => (event.kind === 'log' ? [event.offset] : []));
  assert.deepEqual(
    offsets,
    Array.from({ length: count }, (_, n) => n),
  );
});

test('many log chunks arrive completely, even at a slow reader', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  const job = await agent.job();
  const chunk = Buffer.alloc(60_000, 'x');
  for (let n = 0; n < 100; n += 1) await agent.report(log(id, n * chunk.length, chunk));
  const { port } = new URL(on.url);
  const slow: Socket = connect(Number(port), '127.0.0.1');
  slow.write(
    `GET /api/v1/deployments/${id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${on.account.token}\r\n\r\n`,
  );
  slow.pause();
  const quick = await follow(on, id);
  await agent.live(job);
  await quick.ended;
  assert.equal(summary(quick).filter((line) => line.startsWith('log')).length, 100);
  let text = '';
  slow.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  slow.resume();
  await until(() => text.includes('"kind":"end"'));
  assert.equal(text.match(/"kind":"log"/g)?.length, 100);
  slow.destroy();
});

test('a follower that reads nothing is disconnected, and the rest is not buffered for it', async (t) => {
  const on = await hub(t);
  const id = await create(on);
  const bytes = Buffer.alloc(65_536, 'x');
  await on.deps.db.transaction().execute(async (trx) => {
    for (let n = 0; n < 250; n += 1) await addLogChunk(trx, id, { step: 'build', offset: n * bytes.length, bytes });
  });
  const app: HubApp = fastify().withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.decorateRequest('cookies');
  registerAuth(app, on.deps, API_PREFIX);
  registerEvents(app, on.deps, { heartbeatMs: 15_000, stuckMs: 50, followers: 1, followersOfToken: 1 });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const stuck = connect(port, '127.0.0.1').pause();
  const closed = once(stuck, 'close');
  const request = `GET /deployments/${id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${on.account.token}\r\n\r\n`;
  stuck.on('error', () => undefined).write(request); // the connection is cut: a reset or an end
  const dropped = new Promise<void>((resolve) => {
    app.server.once('request', (_request, response: ServerResponse) => response.once('close', () => resolve()));
  });
  await dropped;
  const second = await fetch(`http://127.0.0.1:${port}/deployments/${id}/events`, {
    headers: { authorization: `Bearer ${on.account.token}` },
  });
  assert.equal(second.status, 200, 'its place is free again');
  await second.body?.cancel();
  let received = 0;
  stuck.on('data', (part: Buffer) => (received += part.length)).resume();
  await closed;
  assert.ok(received < 20_000_000, 'the rest was never written');
});

test('one token cannot use up all followers, and a stream ends soon after its token is revoked', async (t) => {
  const on = await hub(t);
  const id = await create(on);
  const app: HubApp = fastify().withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.decorateRequest('cookies');
  registerProblems(app);
  registerAuth(app, on.deps, API_PREFIX);
  registerEvents(app, on.deps, { heartbeatMs: 20, stuckMs: 5000, followers: 9, followersOfToken: 1 });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const made = await on.api('POST', '/tokens', { name: 'second', scopes: ['read'] });
  const second = (await made.json()) as { id: string; token: string };
  const ask = (token: string) =>
    fetch(`${url}/deployments/${id}/events`, { headers: { authorization: `Bearer ${token}` } });
  const first = await ask(on.account.token);
  assert.equal(first.status, 200);
  const refused = await ask(on.account.token);
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '5']);
  const other = await ask(second.token);
  assert.equal(other.status, 200, 'another token has its own places');
  assert.equal((await on.api('DELETE', `/tokens/${second.id}`)).status, 204);
  assert.match(await other.text(), /still here|status/, 'it ends, and had been followed');
  const reader = first.body?.getReader();
  for (let n = 0; n < 3; n += 1) assert.equal((await reader?.read())?.done, false, 'the other one goes on');
  await reader?.cancel();
});

test('a hub that stops closes its streams at once', async () => {
  const on = await startTestHub();
  const id = await create(on);
  const follower = await follow(on, id);
  await until(() => follower.events.length === 1);
  await on.stop();
  await follower.ended;
});

test('invalid requests get an error status, and deployments of other teams are not found', async (t) => {
  const on = await hub(t);
  const id = await create(on);
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${on.url}/api/v1${path}`, { headers: { authorization: `Bearer ${on.account.token}`, ...headers } });
  assert.equal((await ask(`/deployments/${randomUUIDv7()}/events`)).status, 404);
  assert.equal((await ask(`/deployments/${id}/events`, { 'last-event-id': 'x' })).status, 400);
  assert.equal((await ask(`/deployments/${id}/events?after=x`)).status, 400);
  assert.equal((await ask(`/deployments/${id}/logs?step=nope`)).status, 400);
  const other = await createAccount(on.deps.db, on.deps.clock, { email: 'b@example.com', team: 'Other', plan: 'pro' });
  const headers = { authorization: `Bearer ${other.token}` };
  for (const path of ['', '/events', '/logs']) {
    assert.equal((await ask(`/deployments/${id}${path}`, headers)).status, 404, path);
  }
  for (const path of ['/cancel', '/rollback']) {
    const answer = await fetch(`${on.url}/api/v1/deployments/${id}${path}`, { method: 'POST', headers });
    assert.equal(answer.status, 404, path);
  }
});

test('the log is served completely, by step or with headings, byte for byte', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  await agent.job();
  const bytes = Buffer.from([0xff, 0x00, 0xc3, 0x28]);
  await agent.report(log(id, 0, bytes));
  await agent.report(log(id, 4, 'after'));
  await agent.report({ ...log(id, 0, 'cloned\n'), step: 'clone' } as Report);
  const get = async (query: string): Promise<Buffer> =>
    Buffer.from(await (await on.api('GET', `/deployments/${id}/logs${query}`)).arrayBuffer());
  assert.deepEqual(await get('?step=build'), Buffer.concat([bytes, Buffer.from('after')]));
  assert.deepEqual(
    await get(''),
    Buffer.concat([Buffer.from('=== clone ===\ncloned\n=== build ===\n'), bytes, Buffer.from('after\n')]),
  );
  assert.equal((await get('?step=health')).length, 0);
});

test('the deployment history of an environment is paginated, newest first', async (t) => {
  const on = await hub(t);
  const made = [await create(on), await create(on), await create(on)];
  const list = async (query: string): Promise<string[]> => {
    const answer = await on.api('GET', `/projects/shop/environments/production/deployments${query}`);
    return ((await answer.json()) as { id: string }[]).map(({ id }) => id);
  };
  assert.deepEqual(await list(''), made.toReversed());
  const page = await list('?limit=2');
  assert.deepEqual(page, [made[2], made[1]]);
  assert.deepEqual(await list(`?limit=2&before=${page[1]}`), [made[0]]);
  const environmentId = await on.addEnvironment('staging', 'main');
  const { userId } = on.account;
  const elsewhere = { environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId } as const;
  for (const _ of made) await on.deps.scheduler.create(elsewhere);
  const foreign = await on.deps.scheduler.create(elsewhere);
  assert.deepEqual(await list(`?before=${foreign}`), [], 'one of another environment is no place in this one');
  assert.equal((await on.api('GET', '/projects/shop/environments/production/deployments?limit=0')).status, 400);
});
