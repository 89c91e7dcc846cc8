import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { EdgeNews } from '../../protocol/agent-link.ts';
import { EdgeOrder } from '../../protocol/edge-order.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { until } from '../../test/harness/until.ts';
import { RemoveJob } from '../../protocol/job.ts';
import type { EdgeRequest } from '../../protocol/proxy-admin.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { openTestJournal } from './test-bench.ts';
import { deployJob, IDS } from './test-job.ts';
import { tableView, upstreamView } from '../proxy-client/test-table.ts';
import { edgeNow } from './edge-now.ts';
import { makeEdgeOrders } from './edge-orders.ts';
import { VirtualClock } from './test-clock.ts';

const order = (revision: number, edge: object = { maintenance: true }): EdgeOrder =>
  EdgeOrder.parse({
    version: 1,
    kind: 'edge',
    hostId: IDS.host,
    issuedAt: new Date(0).toISOString(),
    environmentId: IDS.environment,
    revision,
    routes: [{ host: 'new.example' }],
    edge,
  });

/** A proxy that serves the environment; a test can make it fail, or flip between two calls. */
async function bench(t: TestContext, { served = true } = {}) {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  let upstream = upstreamView({ id: IDS.environment, generation: 3 });
  const before: (() => void)[] = [];
  const asked: EdgeRequest[] = [];
  const told: EdgeNews[] = [];
  const orders = makeEdgeOrders({
    journal,
    proxy: {
      table: async () => (served ? tableView(upstream) : tableView()),
      async edge(request) {
        before.shift()?.();
        asked.push(request);
        if (request.expectedGeneration !== upstream.generation)
          throw new OrkestrError('ORK_GENERATION_STALE', 'Stale.');
        upstream = { ...upstream, routes: request.routes, edge: request.edge };
        return { changed: true };
      },
    },
    clock: new VirtualClock(),
    log: silent,
  });
  orders.onNews((news) => void told.push(news));
  t.after(() => orders.stop());
  return {
    journal,
    orders,
    asked,
    told,
    before,
    flip: () => (upstream = { ...upstream, generation: upstream.generation + 1 }),
    upstream: () => upstream,
  };
}

const state = (revision: number) => ({ type: 'edge-state', environmentId: IDS.environment, revision });

test('new settings reach the proxy table and the hub is notified; a repeated order changes nothing', async (t) => {
  const { orders, asked, told, upstream } = await bench(t);
  orders.accept(order(1));
  await orders.idle();
  assert.deepEqual(upstream().routes, [{ host: 'new.example', pathPrefix: '/' }]);
  assert.equal(upstream().edge.maintenance, true);
  orders.accept(order(1));
  await orders.idle();
  assert.equal(asked.length, 1);
  assert.deepEqual(told, [state(1), state(1)]);
});

test('an order older than the newest one is skipped, and the hub hears the newest revision', async (t) => {
  const { orders, told, upstream } = await bench(t);
  orders.accept(order(9));
  await orders.idle();
  orders.accept(order(3, { maintenance: false }));
  await orders.idle();
  assert.equal(upstream().edge.maintenance, true);
  assert.deepEqual(told, [state(9), state(9)]);
});

test('an order that meets a flip is retried with the new generation', async (t) => {
  const { orders, asked, told, before, flip } = await bench(t);
  before.push(flip);
  orders.accept(order(1));
  await orders.idle();
  assert.deepEqual(
    asked.map(({ expectedGeneration }) => expectedGeneration),
    [3, 4],
  );
  assert.deepEqual(told, [state(1)]);
});

test('a failing proxy is reported to the hub, and the order is retried until it succeeds', async (t) => {
  const { orders, told, before, upstream } = await bench(t);
  const fail = (): never => {
    throw new OrkestrError('ORK_PROXY_UNREACHABLE', 'Nobody there.');
  };
  before.push(fail, fail);
  orders.accept(order(1));
  while (told.length < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    told.map(({ error }) => error?.code),
    ['ORK_PROXY_UNREACHABLE', 'ORK_PROXY_UNREACHABLE', undefined],
  );
  assert.equal(upstream().edge.maintenance, true);
});

test('two environments that swap host names both get them, whichever order comes first', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const route = (host: string) => ({ host, pathPrefix: '/' });
  const upstreams = new Map<string, ReturnType<typeof upstreamView>>(
    [
      { id: IDS.environment, routes: [route('one.example')] },
      { id: IDS.project, routes: [route('two.example'), route('kept.example')] },
    ].map((one) => [one.id, upstreamView(one)]),
  );
  const told: EdgeNews[] = [];
  const orders = makeEdgeOrders({
    journal,
    proxy: {
      table: async () => tableView(...upstreams.values()),
      async edge({ upstreamId, routes, edge }) {
        const taken = [...upstreams.values()].flatMap((one) => (one.id === upstreamId ? [] : one.routes));
        if (routes.some(({ host }) => taken.some((other) => other.host === host)))
          throw new OrkestrError('ORK_ROUTE_TAKEN', 'Another environment has it.');
        upstreams.set(upstreamId, { ...(upstreams.get(upstreamId) ?? assert.fail()), routes, edge });
        return { changed: true };
      },
    },
    clock: new VirtualClock(),
    log: silent,
  });
  orders.onNews((news) => void told.push(news));
  t.after(() => orders.stop());
  orders.accept({ ...order(1), routes: [route('two.example')] });
  orders.accept({ ...order(1), environmentId: IDS.project, routes: [route('one.example'), route('kept.example')] });
  while (told.filter(({ error }) => error === undefined).length < 2) {
    assert.ok(told.length < 6, 'they wait for each other');
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(
    [...upstreams.values()].map(({ routes }) => routes.map(({ host }) => host)),
    [['two.example'], ['one.example', 'kept.example']],
  );
});

test('an order for an environment that is not served sends nothing to the proxy', async (t) => {
  const { orders, asked, told } = await bench(t, { served: false });
  orders.accept(order(1));
  await orders.idle();
  assert.deepEqual([asked, told], [[], [state(1)]]);
});

test('an order updates the journaled live settings but keeps the protocol that the app speaks', async (t) => {
  const { journal, orders } = await bench(t);
  const edge = EdgeSettings.parse({ appProtocol: 'h2c' });
  const targets = [{ id: IDS.host, address: '172.20.0.3', port: 80 }];
  journal.adopt({
    environmentId: IDS.environment,
    projectId: IDS.project,
    deploymentId: IDS.host,
    entry: { id: IDS.environment, generation: 3, targets, routes: [], edge },
    healthCheck: null,
    release: null,
  });
  orders.accept(order(2));
  const entry = journal.live(IDS.environment)?.entry;
  assert.deepEqual(entry?.edge, { ...edge, maintenance: true });
  assert.deepEqual(entry?.targets, targets);
  journal.accept(deployJob({ generation: 4, edgeRevision: 3 }));
  assert.equal(journal.live(IDS.environment)?.entry.edge.maintenance, false, 'a job brings newer ones');
});

test('a deployment flips with the newest settings, whether its job or an edge order brought them', async (t) => {
  const { journal } = await bench(t);
  const job = (edgeRevision?: number, generation = 4) =>
    deployJob({ generation, ...(edgeRevision !== undefined && { edgeRevision }) });
  const own = { routes: job().settings.domains, edge: job().settings.edge };
  journal.takeEdge(order(5, { maintenance: true, appProtocol: 'h2c' }));
  const newer = { routes: order(5).routes, edge: EdgeSettings.parse({ maintenance: true }) };
  assert.deepEqual(edgeNow(journal, job(4)), newer, 'of the app the job knows more');
  assert.deepEqual(edgeNow(journal, job(5)), own);
  assert.deepEqual(edgeNow(journal, job()), own, 'a hub that does not number them');
  journal.accept(job(7));
  assert.deepEqual(edgeNow(journal, job(6)), own, 'what a job has brought is newer than an order before it');
  journal.accept(job(undefined, 5));
  assert.equal(journal.edge(IDS.environment), null, 'such a hub will send no others');
});

test('the removal of an environment deletes its edge settings from the journal', async (t) => {
  const { journal } = await bench(t);
  journal.takeEdge(order(5));
  const { generation, hostId, issuedAt, project, environment } = deployJob();
  const common = { version: 1, generation, hostId, issuedAt, project, environment } as const;
  const removal = RemoveJob.parse({ ...common, kind: 'remove', deploymentId: IDS.project });
  journal.accept(removal);
  journal.record({ deploymentId: removal.deploymentId, notLive: environment.id });
  assert.equal(journal.edge(environment.id), null);
});

test('every request to check an environment is honoured, even at the moment when the loop runs out of work', async () => {
  for (let turns = 0; turns < 20; turns += 1) {
    const looked: string[] = [];
    const orders = makeEdgeOrders({
      journal: { edge: (id) => (looked.push(id), null), takeEdge: () => assert.fail('nothing is ordered') },
      proxy: { table: () => assert.fail('nothing is known'), edge: () => assert.fail('nothing is set') },
      clock: new VirtualClock(),
      log: silent,
    });
    orders.look(IDS.environment);
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    orders.look(IDS.host);
    await orders.idle();
    assert.deepEqual(looked, [IDS.environment, IDS.host], `told of after ${turns} turns`);
  }
});

test('a repeated order starts no second retry timer, and the retries back off', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const pauses: number[] = [];
  const wake: (() => void)[] = [];
  let tries = 0;
  const orders = makeEdgeOrders({
    journal,
    proxy: {
      table: async () => {
        tries += 1;
        throw new OrkestrError('ORK_PROXY_UNREACHABLE', 'Away.');
      },
      edge: () => assert.fail('it is away'),
    },
    clock: {
      now: () => 0,
      monotonic: () => 0,
      sleep: (ms) => (pauses.push(ms), new Promise((resolve) => wake.push(resolve))),
    },
    log: silent,
  });
  t.after(() => orders.stop());
  for (let time = 0; time < 3; time += 1) {
    orders.accept(order(1));
    await orders.idle();
  }
  assert.deepEqual([tries, pauses], [3, [5_000]]);
  for (let time = 0; time < 5; time += 1) {
    wake.shift()?.();
    await until(() => wake.length === 1);
  }
  assert.deepEqual([tries, pauses], [8, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]]);
});
