/** What the rounds of reconcile show the watch of live apps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { ContainerState, Ports } from '../deployment/ports.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { IDS } from '../deployment/test-job.ts';
import { scriptedPorts } from '../deployment/test-ports.ts';
import { containerOf } from '../deployment/test-container.ts';
import { silent } from '../lib/test-logger.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import type { LookedApp } from './app-watch.ts';
import { makeReconciler } from './reconcile.ts';

const LIVE = '018f0000-0000-7000-8000-0000000000d1';
const TARGET = { id: LIVE, address: '172.30.0.2', port: 80 };
const live: LiveRecord = {
  environmentId: IDS.environment,
  projectId: IDS.project,
  deploymentId: LIVE,
  entry: UpstreamEntry.parse({ id: IDS.environment, generation: 3, targets: [TARGET], routes: [] }),
  healthCheck: null,
  release: null,
};
const running = containerOf(LIVE);
const ended = containerOf(LIVE, { running: false, address: null, exitCode: 1 });

/** `seen.containers` null: the engine does not answer. */
function bench(seen: { containers: ContainerState[] | null; proxyAnswers: boolean }, revive: () => Promise<string>) {
  const looks: (readonly LookedApp[])[] = [];
  const table = tableView(upstreamView({ id: IDS.environment, generation: 3, targets: [targetView(TARGET)] }));
  const answer = async <T>(given: T | null): Promise<T> => given ?? Promise.reject(new Error('no answer'));
  const reconciler = makeReconciler(
    {
      ports: scriptedPorts({
        containers: { list: () => answer(seen.containers) } as unknown as Ports['containers'],
        proxy: { table: () => answer(seen.proxyAnswers ? table : null) } as unknown as Ports['proxy'],
      }),
      before: async () => undefined,
      listWorkspaces: async () => [],
      remembered: () => ({ live: [live], unfinished: [] }),
      adopt: () => assert.fail('nothing to adopt'),
      moveLive: () => undefined,
      revive,
      appWatch: { look: (apps) => void looks.push(apps) },
      log: silent,
    },
    3_600_000,
  );
  return { reconciler, looks };
}

test('each round shows every live app with its container, and why it could not be brought back until it is', async () => {
  const seen: { containers: ContainerState[]; proxyAnswers: boolean } = { containers: [ended], proxyAnswers: true };
  let fails = true;
  const { reconciler, looks } = bench(seen, async () => {
    if (fails) throw new OrkestrError('ORK_START_FAILED', 'No such file.');
    return TARGET.address;
  });
  await reconciler.run();
  seen.containers = [];
  await reconciler.run();
  fails = false;
  await reconciler.run();
  seen.containers = [running];
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(
    looks.map(([app]) => [app?.live.deploymentId, app?.container?.running, app?.failure?.code, app?.inOtherHands]),
    [
      [LIVE, false, undefined, false],
      [LIVE, undefined, 'ORK_START_FAILED', false],
      [LIVE, undefined, 'ORK_START_FAILED', false],
      [LIVE, true, undefined, false],
    ],
  );
});

test('a failure is forgotten as soon as the app needs nobody to bring it back', async () => {
  const seen: { containers: ContainerState[]; proxyAnswers: boolean } = { containers: [ended], proxyAnswers: true };
  const { reconciler, looks } = bench(seen, () => Promise.reject(new OrkestrError('ORK_START_FAILED', 'Not now.')));
  await reconciler.run();
  seen.containers = [running];
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(
    looks.map(([app]) => app?.failure),
    [null, null],
  );
});

test('a proxy that does not answer is not held against the app, and without the engine nothing is shown', async () => {
  const seen: { containers: ContainerState[] | null; proxyAnswers: boolean } = {
    containers: [ended],
    proxyAnswers: false,
  };
  const { reconciler, looks } = bench(seen, async () => TARGET.address);
  await reconciler.run();
  await reconciler.run();
  seen.containers = null;
  await reconciler.run();
  await reconciler.stop();
  assert.deepEqual(
    looks.map(([app]) => app?.failure),
    [null, null],
  );
});
