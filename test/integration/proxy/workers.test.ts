/** Several worker processes behind one address, with one table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { FlipReceipt, TableView } from '../../../protocol/proxy-admin.ts';
import type { UpstreamView } from '../../../protocol/proxy-admin.ts';
import { answering, eventually, OK, scriptedUpstream, temporaryFolder, uuid } from './harness.ts';
import type { ScriptedUpstream, Wire } from './harness.ts';
import { ask, startLoad } from './load.ts';
import { isProxy, pidsIn, serve } from './proxy-process.ts';
import type { Running } from './proxy-process.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const TWO = { ORKESTR_PROXY_WORKERS: '2' };
const saying = (text: string) => answering(OK.replace('ok', text));

function flipTo(proxy: Running, generation: number, port: number) {
  const targets = [{ id: uuid(1000 + generation), address: '127.0.0.1', port }];
  return proxy.flip(generation, port, { targets });
}

async function upstreamOf(proxy: Running): Promise<UpstreamView> {
  const [upstream] = TableView.parse((await proxy.admin('GET', '/v1/table')).body).upstreams;
  assert.ok(upstream);
  return upstream;
}

const drainOf = (proxy: Running, target: number, deadlineSeconds = 30) =>
  proxy.admin('POST', '/v1/drain', JSON.stringify({ upstreamId: uuid(1), targetId: uuid(target), deadlineSeconds }));

const workersOf = (proxy: Running): number[] => pidsIn(proxy.output()).slice(1);

/** Requests on separate connections: the kernel spreads this many so that both workers have some in flight. */
const MANY = 16;

async function occupy(proxy: Running, app: ScriptedUpstream): Promise<Wire[]> {
  const clients = [];
  for (let index = 0; index < MANY; index += 1) clients.push((await proxy.connect()).send(GET));
  for (let index = 0; index < MANY; index += 1) await (await app.wire(index)).sees('\r\n\r\n');
  return clients;
}

/** Waits until the old target has this many requests in flight, over all workers. */
async function drainsTo(proxy: Running, count: number): Promise<void> {
  for (;;) {
    const { targets } = await upstreamOf(proxy);
    if (targets.find(({ state }) => state === 'draining')?.inFlight === count) return;
  }
}

test('a flip is answered once all workers have switched; drains and receipts include all workers', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const [slow, young] = [await scriptedUpstream(t), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, slow.port);
  await occupy(proxy, slow);
  await flipTo(proxy, 2, young.port);
  const after = await Promise.all(Array.from({ length: 40 }, () => ask(proxy.port)));
  assert.deepEqual(new Set(after), new Set(['v2']));
  let drained = false;
  const drain = drainOf(proxy, 1001).finally(() => (drained = true));
  for (const wire of slow.wires.slice(1)) wire.send(OK);
  await drainsTo(proxy, 1);
  assert.equal(drained, false);
  slow.wires[0]?.send(OK);
  const { body } = await drain;
  assert.deepEqual([body.known, body.forced, body.requests], [true, 0, { served: MANY, failed: 0 }]);
  const receipt = FlipReceipt.parse((await proxy.admin('GET', `/v1/upstreams/${uuid(1)}/receipt`)).body);
  assert.deepEqual(
    [
      receipt.previous?.inFlightAtFlip,
      receipt.previous?.requests.served,
      receipt.current.requests.served,
      receipt.failed,
    ],
    [MANY, MANY, 40, 0],
  );
});

test('a killed worker is replaced by one with the whole table, and a drain does not wait for its requests', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const [slow, young] = [await scriptedUpstream(t), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, slow.port);
  const clients = await occupy(proxy, slow);
  await flipTo(proxy, 2, young.port);
  const [victim = 0] = workersOf(proxy);
  process.kill(victim, 'SIGKILL');
  await eventually('broken connections', () => clients.some(({ ended }) => ended !== null));
  // Connections queued at the dead worker wait for the next one: none is refused.
  const after = await Promise.all(Array.from({ length: 30 }, () => ask(proxy.port)));
  assert.deepEqual(new Set(after), new Set(['v2']));
  const lost = clients.filter(({ ended }) => ended !== null).length;
  assert.ok(lost > 0 && lost < MANY, `${lost} lost`);
  await drainsTo(proxy, MANY - lost);
  for (const wire of slow.wires) wire.send(OK);
  assert.deepEqual((await drainOf(proxy, 1001)).body.requests, { served: MANY - lost, failed: 0 });
  await flipTo(proxy, 3, slow.port);
  assert.equal((await upstreamOf(proxy)).generation, 3);
});

test('a worker that hangs delays a flip for a limited time and is replaced; all workers end with the main process', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const [old, young] = [await scriptedUpstream(t, saying('v1')), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, old.port);
  const [victim = 0] = workersOf(proxy);
  process.kill(victim, 'SIGSTOP');
  assert.equal((await flipTo(proxy, 2, young.port)).status, 200);
  assert.equal(isProxy(victim), false);
  const after = await Promise.all(Array.from({ length: 20 }, () => ask(proxy.port)));
  assert.deepEqual(new Set(after), new Set(['v2']));
  await proxy.end('SIGKILL');
  await eventually('their end', () => !workersOf(proxy).some(isProxy));
});

test('held requests of all workers continue at the flip, none of them on the old target', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const [old, young] = [await scriptedUpstream(t, saying('v1')), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, old.port);
  await proxy.admin('POST', '/v1/hold', JSON.stringify({ upstreamId: uuid(1), maxRequests: 40 }));
  const load = startLoad(proxy.port, 10);
  for (let held: number | null = 0; held !== 10;) ({ held } = await upstreamOf(proxy));
  await flipTo(proxy, 2, young.port);
  await load.more(50);
  await load.stop();
  assert.deepEqual([load.faults, [...load.answers.keys()]], [[], ['v2']]);
  const receipt = FlipReceipt.parse((await proxy.admin('GET', `/v1/upstreams/${uuid(1)}/receipt`)).body);
  assert.deepEqual([receipt.held?.requests, receipt.held?.refused], [10, 0]);
});

test('a client has its whole rate on one connection, and no more than that on many, whichever workers serve it', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const app = await scriptedUpstream(t, answering(OK));
  const ratePerClient = { requests: 20, perSeconds: 3600, burst: 0 };
  await proxy.flip(1, app.port, { edge: EdgeSettings.parse({ ratePerClient }) });
  const client = await proxy.connect();
  for (let index = 1; index <= 20; index += 1) {
    client.send(GET);
    await client.sees(new RegExp(`^(?:HTTP/1.1 200 [^]*?ok){${index}}$`));
  }
  client.send(GET);
  await client.sees(/HTTP\/1.1 429 /);
  // The other worker serves it until it learns the count; otherwise it would serve the whole rate again.
  let served = 0;
  for (let refused = 0; refused < 16;) {
    const visitor = (await proxy.connect()).send(GET);
    await visitor.sees(/^HTTP\/1.1 (200|429) /);
    refused = visitor.received.startsWith('HTTP/1.1 429') ? refused + 1 : 0;
    if (refused > 0) continue;
    served += 1;
    await sleep(100);
  }
  assert.ok(served < 20, `${served} more were served`);
});

test('exactly as many requests as the limit allows are in flight, whichever workers serve them', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const app = await scriptedUpstream(t);
  await proxy.flip(1, app.port, { edge: EdgeSettings.parse({ maxConcurrent: 5 }) });
  let refused = 0;
  const visit = async (): Promise<void> => {
    const client = (await proxy.connect()).send(GET);
    const before = app.wires.length;
    await eventually('an answer, or the app', () => client.received !== '' || app.wires.length > before);
    if (client.received !== '') refused += 1;
  };
  // Some are refused until the worker they reach has taken over the unused share of the other one.
  for (let visits = 0; visits < 100 && app.wires.length < 5; visits += 1) await visit();
  refused = 0;
  for (let index = 0; index < 16; index += 1) await visit();
  assert.deepEqual([app.wires.length, refused], [5, 16]);
});

test('wrong passwords of a client are counted over all workers', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t), undefined, TWO);
  const app = await scriptedUpstream(t, answering(OK));
  const password = `scrypt:${Buffer.alloc(16, 1).toString('base64')}:${Buffer.alloc(32, 1).toString('base64')}`;
  await proxy.flip(1, app.port, { edge: EdgeSettings.parse({ basicAuth: [{ user: 'ada', password }] }) });
  let looked = 0;
  for (let index = 0; index < 40; index += 1) {
    const credentials = Buffer.from(`ada:wrong ${index}`).toString('base64');
    const client = (await proxy.connect()).send(
      `GET / HTTP/1.1\r\nHost: app.test\r\nAuthorization: Basic ${credentials}\r\n\r\n`,
    );
    await client.sees(/^HTTP\/1.1 (401|429) /);
    if (client.received.startsWith('HTTP/1.1 401')) looked += 1;
  }
  // Ten, plus those that one worker checked before it learned the other's count; each on its own would check ten.
  assert.ok(looked >= 10 && looked < 19, `${looked} were looked at`);
});
