import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { TableView, TargetState, UpstreamView } from '../../protocol/proxy-admin.ts';
import type { ContainerState } from '../deployment/ports.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { containerOf } from '../deployment/test-container.ts';
import { tableView as table, targetView, upstreamView } from '../proxy-client/test-table.ts';
import { isInOtherHands, plan } from './plan.ts';
import type { Action, Observed, Remembered } from './plan.ts';

const uuid = (name: string): string => `018f0000-0000-7000-8000-${Buffer.from(name).toString('hex').padStart(12, '0')}`;
const PROJECT = uuid('p');

const container = (deployment: string, environment: string, changes: Partial<ContainerState> = {}): ContainerState =>
  containerOf(uuid(deployment), { environmentId: uuid(environment), projectId: PROJECT, ...changes });

const live = (deployment: string, environment: string, generation = 1): LiveRecord => ({
  environmentId: uuid(environment),
  projectId: PROJECT,
  deploymentId: uuid(deployment),
  entry: UpstreamEntry.parse({
    id: uuid(environment),
    generation,
    targets: [{ id: uuid(deployment), address: '172.30.0.2', port: 8080 }],
    routes: [{ host: 'shop.example.com', pathPrefix: '/' }],
  }),
  healthCheck: null,
  release: null,
});

type Target = readonly [deployment: string, state?: TargetState, address?: string];

const upstream = (environment: string, targets: readonly Target[], generation = 1): UpstreamView =>
  upstreamView({
    id: uuid(environment),
    generation,
    routes: [{ host: 'shop.example.com', pathPrefix: '/' }],
    targets: targets.map(([deployment, state = 'healthy', address = '172.30.0.2']) =>
      targetView({ id: uuid(deployment), address, state }),
    ),
  });

const observed = (changes: Partial<Observed> = {}): Observed => ({
  containers: [],
  table: table(),
  workspaces: [],
  ...changes,
});

const NOTHING: Remembered = { live: [], unfinished: [] };
const unfinished = (deployment: string, environment: string, kind: 'deploy' | 'remove' = 'deploy') => ({
  deploymentId: uuid(deployment),
  environmentId: uuid(environment),
  kind,
  state: 'running' as const,
});
const kinds = (actions: readonly Action[]): string[] =>
  actions.map((action) => (action.kind === 'revive' ? `revive: ${action.why}` : action.kind));

/** A consistent host: the container runs, the table names it, the journal knows it. */
const WHOLE = {
  observed: observed({ containers: [container('d1', 'e')], table: table(upstream('e', [['d1']])) }),
  remembered: { live: [live('d1', 'e')], unfinished: [] },
};

test('the plan is empty if containers, table and journal agree', () => {
  assert.deepEqual(plan(WHOLE.observed, WHOLE.remembered), []);
  assert.deepEqual(plan(observed(), NOTHING), []);
});

test('of a worker, whose upstream has no route, nothing is missing', () => {
  const known = live('d1', 'e');
  const worker: LiveRecord = {
    ...known,
    entry: { ...known.entry, routes: [] },
    healthCheck: { kind: 'running', runSeconds: 10 },
  };
  const seen = { ...WHOLE.observed, table: table({ ...upstream('e', [['d1']]), routes: [] }) };
  assert.deepEqual(plan(seen, { live: [worker], unfinished: [] }), []);
  assert.deepEqual(kinds(plan(seen, NOTHING)), ['adopt'], 'also after the journal was lost');
});

test('a live container that does not run is revived', () => {
  const containers = [container('d1', 'e', { running: false, address: null })];
  assert.deepEqual(kinds(plan({ ...WHOLE.observed, containers }, WHOLE.remembered)), [
    'revive: its container does not run',
  ]);
});

test('an environment that is being removed is neither revived nor cleaned up before its removal', () => {
  const seen = { ...WHOLE.observed, containers: [container('d1', 'e', { running: false, address: null })] };
  const remembered = { ...WHOLE.remembered, unfinished: [unfinished('r', 'e', 'remove')] };
  assert.deepEqual(plan(seen, remembered), []);
});

test('a live container that is gone is revived, which creates it again', () => {
  assert.deepEqual(kinds(plan({ ...WHOLE.observed, containers: [] }, WHOLE.remembered)), [
    'revive: its container is gone',
  ]);
});

test('a live container at another address is revived, which flips the table to it', () => {
  const containers = [container('d1', 'e', { address: '172.30.0.9' })];
  assert.deepEqual(kinds(plan({ ...WHOLE.observed, containers }, WHOLE.remembered)), [
    'revive: its address has changed',
  ]);
});

test('a live container that is one of several copies needs no action', () => {
  const copies = table(
    upstream('e', [
      ['d1', 'healthy', '172.30.0.8'],
      ['d1', 'healthy', '172.30.0.2'],
    ]),
  );
  assert.deepEqual(plan({ ...WHOLE.observed, table: copies }, WHOLE.remembered), []);
});

test('a lost table gets its routes back', () => {
  assert.deepEqual(kinds(plan({ ...WHOLE.observed, table: table() }, WHOLE.remembered)), [
    'revive: the proxy does not know its route',
  ]);
});

test('a table that names an older target is updated', () => {
  const older = table(upstream('e', [['d0']], 1));
  const remembered = { live: [live('d1', 'e', 2)], unfinished: [] };
  assert.ok(
    kinds(plan({ ...WHOLE.observed, table: older }, remembered)).includes('revive: the proxy names an older target'),
  );
});

test('a flip newer than the journal is never reverted', () => {
  const newer = table(upstream('e', [['d2'], ['d1', 'draining']], 2));
  const containers = [container('d1', 'e', { running: false, address: null }), container('d2', 'e')];
  const remembered = { live: [live('d1', 'e')], unfinished: [unfinished('d2', 'e')] };
  assert.deepEqual(plan(observed({ containers, table: newer }), remembered), []);
});

test('a journal restored from an older copy adopts the newer version that serves and looks after it', () => {
  const newer = table(upstream('e', [['d2']], 2));
  const seen = observed({ containers: [container('d2', 'e')], table: newer });
  assert.deepEqual(plan(seen, WHOLE.remembered), [{ kind: 'adopt', live: live('d2', 'e', 2) }]);
  const rebooted = observed({ containers: [container('d2', 'e', { address: '172.30.0.7' })], table: newer });
  assert.deepEqual(kinds(plan(rebooted, WHOLE.remembered)), ['adopt', 'revive: its address has changed']);
  const removal = { ...WHOLE.remembered, unfinished: [unfinished('r', 'e', 'remove')] };
  assert.deepEqual(plan(seen, removal), []);
});

test('a live container is looked after even if a reverted flip left a newer generation', () => {
  const back = table(upstream('e', [['d1'], ['d2', 'gone']], 2));
  assert.deepEqual(plan({ ...WHOLE.observed, table: back }, WHOLE.remembered), []);
  const containers = [container('d1', 'e', { running: false, address: null })];
  assert.deepEqual(kinds(plan({ ...WHOLE.observed, table: back, containers }, WHOLE.remembered)), [
    'revive: its container does not run',
  ]);
});

test('a live container stopped by a deployment to make room is left alone until the deployment ends, then revived', () => {
  const containers = [container('d1', 'e', { running: false, address: null })];
  const held = table({ ...upstream('e', [['d1']]), held: 3 });
  const busy = { ...WHOLE.remembered, unfinished: [unfinished('d2', 'e')] };
  assert.deepEqual(plan({ ...WHOLE.observed, table: held, containers }, busy), []);
  assert.equal(plan({ ...WHOLE.observed, table: held, containers }, WHOLE.remembered).length, 1);
});

test('an app is in other hands while a deployment holds its visitors or has flipped, and while it is removed', () => {
  const one = live('d1', 'e');
  const busy = (kind: 'deploy' | 'remove') => ({ live: [one], unfinished: [unfinished('d2', 'e', kind)] });
  const at = (view: UpstreamView | null, remembered: Remembered): boolean =>
    isInOtherHands({ ...WHOLE.observed, table: view && table(view) }, remembered, one);
  const serving = upstream('e', [['d1']]);
  assert.equal(at(serving, busy('deploy')), false, 'a build, or a second container beside it');
  assert.equal(at({ ...serving, held: 3 }, busy('deploy')), true);
  assert.equal(at({ ...serving, held: 3 }, WHOLE.remembered), false, 'a hold that was left behind');
  assert.equal(at(upstream('e', [['d2']], 2), busy('deploy')), true);
  assert.equal(at(serving, busy('remove')), true);
  assert.deepEqual([at(null, busy('deploy')), at(null, WHOLE.remembered)], [true, false]);
});

test('visitors held by a past deployment are let through, unless a running deployment may hold them itself', () => {
  const held = table({ ...upstream('e', [['d1']]), held: 0 });
  const jobs = (state: 'queued' | 'running' | 'undoing') => ({
    ...WHOLE.remembered,
    unfinished: [{ ...unfinished('d2', 'e'), state }],
  });
  const seen = { ...WHOLE.observed, table: held };
  const actions = [WHOLE.remembered, jobs('queued'), jobs('running'), jobs('undoing')].map((one) => plan(seen, one));
  const revived = ['revive: visitors are held, and no deployment is at work'];
  assert.deepEqual(actions.map(kinds), [revived, revived, [], []]);
});

test('a container that nobody needs is removed', () => {
  const containers = [container('d1', 'e'), container('d0', 'e')];
  const actions = plan({ ...WHOLE.observed, containers }, WHOLE.remembered);
  assert.deepEqual(actions, [{ kind: 'remove-container', name: `orkestr-${uuid('d0')}`, deploymentId: uuid('d0') }]);
});

test('no container of an environment is removed while a deployment of it is unfinished', () => {
  const containers = [container('d1', 'e'), container('d0', 'e'), container('d2', 'e')];
  const remembered = { ...WHOLE.remembered, unfinished: [unfinished('d2', 'e')] };
  assert.deepEqual(plan({ ...WHOLE.observed, containers }, remembered), []);
});

test('an unfinished deployment of one environment does not protect the strays of another', () => {
  const containers = [container('d1', 'e'), container('x0', 'f')];
  const remembered = { ...WHOLE.remembered, unfinished: [unfinished('d2', 'e')] };
  assert.deepEqual(kinds(plan({ ...WHOLE.observed, containers }, remembered)), ['remove-container']);
});

for (const state of ['healthy', 'draining'] as const) {
  test(`a container that the proxy names as ${state} is never removed`, () => {
    const containers = [container('d1', 'e'), container('d0', 'e')];
    const targets: Target[] = [['d1'], ['d0', state]];
    assert.deepEqual(plan(observed({ containers, table: table(upstream('e', targets)) }), WHOLE.remembered), []);
  });
}

test('a target that is gone from the proxy no longer protects its container', () => {
  const containers = [container('d1', 'e'), container('d0', 'e')];
  const seen = observed({ containers, table: table(upstream('e', [['d1'], ['d0', 'gone']])) });
  assert.deepEqual(kinds(plan(seen, WHOLE.remembered)), ['remove-container']);
});

test('nothing is removed without the proxy, because only the proxy knows what still serves', () => {
  const containers = [container('d1', 'e'), container('d0', 'e')];
  assert.deepEqual(plan(observed({ containers, table: null }), WHOLE.remembered), []);
});

test('a stopped live container is started even without the proxy', () => {
  const containers = [container('d1', 'e', { running: false, address: null })];
  assert.deepEqual(kinds(plan(observed({ containers, table: null }), WHOLE.remembered)), [
    'revive: its container does not run',
  ]);
});

test('the plan is empty without the engine: a container that is not seen may still exist', () => {
  assert.deepEqual(plan({ ...WHOLE.observed, containers: null }, WHOLE.remembered), []);
  assert.deepEqual(plan({ ...WHOLE.observed, containers: null }, NOTHING), []);
});

test('a container that serves is adopted after the loss of the journal, with its generation, routes and settings', () => {
  const seen = observed({ containers: [container('d1', 'e')], table: table(upstream('e', [['d1']], 41)) });
  const actions = plan(seen, NOTHING);
  assert.deepEqual(actions, [{ kind: 'adopt', live: { ...live('d1', 'e', 41) } }]);
});

test('an adopted container that does not run is revived in the same round', () => {
  const containers = [container('d1', 'e', { running: false, address: null })];
  const seen = observed({ containers, table: table(upstream('e', [['d1']])) });
  assert.deepEqual(kinds(plan(seen, NOTHING)), ['adopt', 'revive: its container does not run']);
});

test('a container that is not the active target is not adopted', () => {
  const seen = observed({ containers: [container('d1', 'e')], table: table(upstream('e', [['d9']])) });
  assert.deepEqual(kinds(plan(seen, NOTHING)), ['remove-container']);
});

test('an upstream that names a container of another environment is not adopted', () => {
  const seen = observed({ containers: [container('d1', 'f')], table: table(upstream('e', [['d1']])) });
  assert.deepEqual(plan(seen, NOTHING), []);
});

test('an environment with a job in the journal is not adopted: its deployment continues by itself', () => {
  const seen = observed({ containers: [container('d1', 'e')], table: table(upstream('e', [['d1']])) });
  assert.deepEqual(plan(seen, { live: [], unfinished: [unfinished('d1', 'e')] }), []);
});

test('workspaces of ended deployments are removed, those of unfinished ones stay', () => {
  const remembered = { ...WHOLE.remembered, unfinished: [unfinished('d2', 'e')] };
  const actions = plan({ ...WHOLE.observed, workspaces: [uuid('d1'), uuid('d2')] }, remembered);
  assert.deepEqual(actions, [{ kind: 'remove-workspace', deploymentId: uuid('d1') }]);
});

test('no combination of container, table and journal removes a container that the proxy names or a job needs', () => {
  const containerStates = [null, { running: true }, { running: false, address: null }];
  const tables: (TableView | null)[] = [
    null,
    table(),
    table(upstream('e', [['d1']])),
    table(upstream('e', [['d1', 'draining']])),
    table(upstream('e', [['d2'], ['d1', 'draining']], 2)),
  ];
  const lives = [[], [live('d1', 'e')], [live('d2', 'e', 2)]];
  const jobs = [[], [unfinished('d1', 'e')], [unfinished('d2', 'e')]];
  for (const state of containerStates) {
    for (const seenTable of tables) {
      for (const liveNow of lives) {
        for (const job of jobs) {
          const containers = state === null ? [] : [container('d1', 'e', state)];
          const actions = plan(observed({ containers, table: seenTable }), { live: liveNow, unfinished: job });
          const removed = actions.some((one) => one.kind === 'remove-container');
          const named =
            seenTable === null ||
            seenTable.upstreams.some(({ targets }) => targets.some(({ id }) => id === uuid('d1')));
          const needed = job.length > 0 || liveNow.some(({ deploymentId }) => deploymentId === uuid('d1'));
          if (named || needed) assert.ok(!removed);
          const revived = actions.filter(({ kind }) => kind === 'revive').length;
          assert.ok(revived <= 1);
          const adopted = actions.filter(({ kind }) => kind === 'adopt').length;
          if (liveNow.length > 0 || job.length > 0) assert.equal(adopted, 0, 'never adopted twice');
        }
      }
    }
  }
});
