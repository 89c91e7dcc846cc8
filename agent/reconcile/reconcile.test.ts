import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { FlipRequest, TableView } from '../../protocol/proxy-admin.ts';
import { until } from '../../test/harness/until.ts';
import type { ContainerState, Ports } from '../deployment/ports.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { systemClock } from '../lib/clock.ts';
import { makeReconciler } from './reconcile.ts';
import type { ReconcileParts } from './reconcile.ts';
import { silent } from '../lib/test-logger.ts';
import { IDS } from '../deployment/test-job.ts';
import { scriptedPorts } from '../deployment/test-ports.ts';
import { containerOf } from '../deployment/test-container.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';

const LIVE = '018f0000-0000-7000-8000-0000000000d1';
const STRAY = '018f0000-0000-7000-8000-0000000000d0';

const live: LiveRecord = {
  environmentId: IDS.environment,
  projectId: IDS.project,
  deploymentId: LIVE,
  entry: UpstreamEntry.parse({
    id: IDS.environment,
    generation: 3,
    targets: [{ id: LIVE, address: '172.30.0.2', port: 80 }],
    routes: [],
  }),
  healthCheck: null,
  release: null,
};

const tableWith = (address: string, generation = 3, id = LIVE): TableView =>
  tableView(upstreamView({ id: IDS.environment, generation, targets: [targetView({ id, address, port: 80 })] }));

const job = (kind: 'deploy' | 'remove') =>
  ({ deploymentId: STRAY, environmentId: IDS.environment, kind, state: 'running' }) as const;

function held(table: TableView): TableView {
  for (const upstream of table.upstreams) upstream.held = 2;
  return table;
}

function bench(seen: { containers: ContainerState[]; table: TableView }, changes: Partial<ReconcileParts> = {}) {
  const flips: FlipRequest[] = [];
  const removed: string[] = [];
  const moved: string[] = [];
  const resumed: string[] = [];
  const ports = scriptedPorts({
    containers: {
      list: async () => seen.containers,
      stopAndRemove: async (name: string) => void removed.push(name),
    } as unknown as Ports['containers'],
    proxy: {
      table: async () => seen.table,
      flip: async (request: FlipRequest) => void flips.push(request),
      resume: async ({ upstreamId }: { upstreamId: string }) => void resumed.push(upstreamId),
    } as unknown as Ports['proxy'],
  });
  const reconciler = makeReconciler(
    {
      ports,
      before: async () => undefined,
      listWorkspaces: async () => [],
      remembered: () => ({ live: [live], unfinished: [] }),
      adopt: () => assert.fail('nothing to adopt'),
      moveLive: (_environment, address) => void moved.push(address),
      revive: async () => '172.30.0.7',
      appWatch: { look: () => undefined },
      log: silent,
      ...changes,
    },
    3_600_000,
  );
  return { reconciler, flips, removed, moved, resumed };
}

test('a live container at a new address is flipped to under the same generation and target id, and stored', async () => {
  const { reconciler, flips, moved } = bench({
    containers: [containerOf(LIVE, { address: '172.30.0.7' })],
    table: tableWith('172.30.0.2'),
  });
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(
    flips.map(({ entry, expectedGeneration }) => [entry.generation, entry.targets, expectedGeneration]),
    [[3, [{ id: LIVE, address: '172.30.0.7', port: 80 }], 3]],
  );
  assert.deepEqual(moved, ['172.30.0.7']);
});

test('a move after a reverted flip uses the generation of the table', async () => {
  const { reconciler, flips, moved } = bench({
    containers: [containerOf(LIVE, { address: '172.30.0.7' })],
    table: tableWith('172.30.0.2', 4),
  });
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(
    flips.map(({ entry, expectedGeneration }) => [entry.generation, expectedGeneration]),
    [[4, 4]],
  );
  assert.deepEqual(moved, ['172.30.0.7']);
});

test('a move keeps the edge settings and a canary that was set meanwhile', async () => {
  const copies = [targetView({ id: STRAY, address: '172.30.0.5', port: 80 })];
  const table = tableWith('172.30.0.2');
  const [upstream] = table.upstreams;
  assert.ok(upstream);
  upstream.targets.push(...copies);
  upstream.canary = { targetId: STRAY, weightPercent: 5, cookie: 'v=2' };
  const edge = EdgeSettings.parse({ maintenance: true });
  const strict = { ...live, entry: { ...live.entry, edge } };
  const { reconciler, flips } = bench(
    { containers: [containerOf(LIVE, { address: '172.30.0.7' })], table },
    { remembered: () => ({ live: [strict], unfinished: [] }) },
  );
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(flips[0]?.entry.edge, edge);
  assert.deepEqual(flips[0].entry.canary, {
    targets: [{ id: STRAY, address: '172.30.0.5', port: 80 }],
    weightPercent: 5,
    cookie: 'v=2',
  });
});

test('edge settings that change while an app is being revived are kept', async () => {
  const changed = EdgeSettings.parse({ maintenance: true });
  let known = live;
  const { reconciler, flips } = bench(
    { containers: [containerOf(LIVE, { address: '172.30.0.7' })], table: tableWith('172.30.0.2') },
    {
      remembered: () => ({ live: [known], unfinished: [] }),
      revive: async () => {
        known = { ...live, entry: { ...live.entry, edge: changed } };
        return '172.30.0.7';
      },
    },
  );
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(
    flips.map(({ entry }) => entry.edge),
    [changed],
  );
});

test('a hold that a deployment could not release ends when a container serves again', async () => {
  for (const running of [false, true]) {
    const { reconciler, flips, resumed } = bench({
      containers: [containerOf(LIVE, { running, address: running ? '172.30.0.7' : null })],
      table: held(tableWith('172.30.0.7')),
    });
    await reconciler.run();
    await reconciler.stop();
    assert.deepEqual([flips, resumed], [[], [IDS.environment]]);
  }
});

test('a hold also ends if the table changes too, because not every table change ends a hold', async () => {
  const edge = EdgeSettings.parse({ maintenance: true });
  const { reconciler, flips, resumed } = bench(
    { containers: [containerOf(LIVE, { address: '172.30.0.7' })], table: held(tableWith('172.30.0.7')) },
    { remembered: () => ({ live: [{ ...live, entry: { ...live.entry, edge } }], unfinished: [] }) },
  );
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual([flips.length, resumed], [1, [IDS.environment]]);
});

test('a hold that a deployment began during a revival is left to that deployment', async () => {
  const seen = { containers: [containerOf(LIVE, { running: false, address: null })], table: tableWith('172.30.0.2') };
  let begun = false;
  const { reconciler, flips, resumed } = bench(seen, {
    remembered: () => ({ live: [live], unfinished: begun ? [job('deploy')] : [] }),
    revive: async () => {
      begun = true;
      seen.table = held(tableWith('172.30.0.2'));
      return '172.30.0.7';
    },
  });
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual([flips, resumed], [[], []]);
});

test('an unhealthy container is not flipped to, and the rest of the round continues', async () => {
  const { reconciler, flips, removed } = bench(
    {
      containers: [containerOf(LIVE, { running: false, address: null }), containerOf(STRAY)],
      table: tableWith('172.30.0.2'),
    },
    {
      revive: async () => {
        throw new Error('not healthy');
      },
    },
  );
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(flips, []);
  assert.deepEqual(removed, [`orkestr-${STRAY}`]);
});

test('a newer flip during the revival is left alone', async () => {
  const seen = { containers: [containerOf(LIVE, { running: false, address: null })], table: tableWith('172.30.0.2') };
  const { reconciler, flips, moved } = bench(seen, {
    revive: async () => {
      seen.table = tableWith('172.30.0.3', 4, STRAY);
      return '172.30.0.7';
    },
  });
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual([flips, moved], [[], []]);
});

test('an environment that is removed during the revival of its app gets no route again', async () => {
  const seen = { containers: [containerOf(LIVE, { running: false, address: null })], table: tableWith('172.30.0.2') };
  let removal: 'none' | 'under way' | 'done' = 'none';
  for (const becomes of ['under way', 'done'] as const) {
    removal = 'none';
    const { reconciler, flips } = bench(seen, {
      remembered: () => ({
        live: removal === 'done' ? [] : [live],
        unfinished: removal === 'under way' ? [job('remove')] : [],
      }),
      revive: async () => {
        removal = becomes;
        return '172.30.0.7';
      },
    });
    await reconciler.run();
    await reconciler.stop();
    assert.deepEqual(flips, [], `removal ${becomes}`);
  }
});

test('an app that does not become healthy delays no other app and is not started twice meanwhile', async () => {
  const other: LiveRecord = { ...live, environmentId: IDS.host, deploymentId: STRAY };
  const sick = Promise.withResolvers<string>();
  const begun: string[] = [];
  const containers = [LIVE, STRAY].map((id) => containerOf(id, { running: false, address: null }));
  const { reconciler } = bench(
    { containers, table: tableView() },
    {
      remembered: () => ({ live: [live, other], unfinished: [] }),
      revive: ({ deploymentId }) => {
        begun.push(deploymentId);
        return deploymentId === LIVE ? sick.promise : Promise.reject(new Error('not healthy'));
      },
    },
  );
  // The agent dials its hub after this.
  await reconciler.look();
  assert.deepEqual(begun, [LIVE, STRAY]);
  reconciler.lookSoon();
  await until(() => begun.length === 3);
  assert.deepEqual(begun, [LIVE, STRAY, STRAY], 'the next round is not held up either');
  sick.reject(new Error('not healthy'));
  await reconciler.stop();
});

test('changes during a round are handled after it, in one more round', async () => {
  let rounds = 0;
  const first = Promise.withResolvers<void>();
  const { reconciler } = bench(
    { containers: [containerOf(LIVE)], table: tableWith('172.30.0.2') },
    {
      before: async () => {
        rounds += 1;
        if (rounds === 1) await first.promise;
      },
    },
  );
  const round = reconciler.run();
  reconciler.lookSoon();
  reconciler.lookSoon();
  await systemClock.sleep(400);
  assert.equal(rounds, 1);
  first.resolve();
  await round;
  await until(() => rounds === 2);
  await reconciler.stop();
  assert.equal(rounds, 2);
});

test('a stray container that a job needs by the time of its removal is kept', async () => {
  let looks = 0;
  const { reconciler, removed } = bench(
    { containers: [containerOf(LIVE), containerOf(STRAY)], table: tableWith('172.30.0.2') },
    {
      remembered: () => {
        looks += 1;
        return {
          live: [live],
          unfinished: looks === 1 ? [] : [job('deploy')],
        };
      },
    },
  );
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(removed, []);
});

test('two simultaneous calls run one round', async () => {
  let rounds = 0;
  const { reconciler } = bench(
    { containers: [containerOf(LIVE)], table: tableWith('172.30.0.2') },
    {
      before: async () => {
        rounds += 1;
        await systemClock.sleep(1);
      },
    },
  );
  await Promise.all([reconciler.run(), reconciler.run()]);
  await reconciler.stop();
  assert.equal(rounds, 1);
});

test('an unreadable journal ends only the round, and nothing unknown is removed', async () => {
  const { reconciler, removed } = bench(
    { containers: [containerOf(STRAY)], table: tableWith('172.30.0.2') },
    {
      remembered: () => {
        throw new Error('disk I/O error');
      },
    },
  );
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(removed, []);
});
