import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { HUB_UPSTREAM } from '../../protocol/hub-upstream.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { until } from '../../test/harness/until.ts';
import { openTestJournal } from './test-bench.ts';
import { hastyClock } from './test-clock.ts';
import { deployJob, IDS } from './test-job.ts';
import { scriptedPorts } from './test-ports.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { runnerParts, scriptedPipeline } from './test-bench.ts';
import { containerOf } from './test-container.ts';
import { tableView, upstreamView } from '../proxy-client/test-table.ts';
import { makeDispatcher } from './dispatcher.ts';
import { makeLocalRemovals } from './local-removals.ts';
import type { Ports } from './ports.ts';
import { DEFAULT_QUEUE_LIMITS } from './queue.ts';

const DEPLOYMENT = '018f0000-0000-7000-8000-0000000000d1';

/** A host with one container and one route, each of the given environment. */
async function host(t: TestContext, { container, route = container }: { container?: string; route?: string }) {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  let containers = container === undefined ? [] : [containerOf(DEPLOYMENT, { environmentId: container })];
  let upstreams = route === undefined ? [] : [upstreamView({ id: route })];
  const failures: OrkestrError[] = [];
  const networks: string[] = [];
  const ports: Partial<Ports> = {
    containers: {
      list: async () => containers,
      stopAndRemove: async () => void (containers = []),
      removeNetwork: async (name: string) => void networks.push(name),
    } as unknown as Ports['containers'],
    images: { list: async () => [] } as unknown as Ports['images'],
    proxy: {
      table: async () => tableView(...upstreams),
      remove: async () => {
        const failure = failures.pop();
        if (failure) throw failure;
        upstreams = [];
      },
    } as unknown as Ports['proxy'],
    workspaces: { remove: async () => undefined } as unknown as Ports['workspaces'],
  };
  const dispatcher = makeDispatcher({
    parts: runnerParts({ folder, journal, pipeline: scriptedPipeline({}), ports, clock: hastyClock() }),
    intake: journal,
    limits: DEFAULT_QUEUE_LIMITS,
    onEnded: () => undefined,
  });
  t.after(async () => {
    await dispatcher.stop(1000);
    journal.close();
  });
  const removals = makeLocalRemovals({
    journal,
    ports: scriptedPorts(ports),
    hostId: IDS.host,
    accept: (job) => dispatcher.accept(job),
  });
  const removed = async (environmentId: string): Promise<string | null> => {
    const id = await removals.begin(environmentId);
    await until(() => removals.status(id).ended);
    return removals.status(id).error?.code ?? null;
  };
  const left = (): number => containers.length + upstreams.length;
  return { journal, dispatcher, removals, removed, left, failures, networks };
}

test("a local removal deletes the route, the containers, the network and the journal's live record", async (t) => {
  const { journal, dispatcher, removed, left, networks } = await host(t, { container: IDS.environment });
  dispatcher.accept(deployJob({ generation: 4 }));
  await dispatcher.idle();
  assert.notEqual(journal.live(IDS.environment), null);
  assert.equal(await removed(IDS.environment), null);
  assert.deepEqual([left(), journal.live(IDS.environment), networks.length], [0, null, 1]);
  assert.equal(journal.nextGeneration(IDS.environment), 5, 'a hub that knows it after all goes on with its own number');
});

test('an environment that the journal does not know is removed if Docker or the proxy has something of it', async (t) => {
  for (const has of [{ container: IDS.environment, route: IDS.project }, { route: IDS.environment }]) {
    const { removed, left } = await host(t, has);
    assert.equal(await removed(IDS.environment), null);
    assert.equal(left(), 0);
  }
});

test('a local removal rejects an unknown environment and the route of the hub', async (t) => {
  const { removals, journal } = await host(t, { route: HUB_UPSTREAM });
  for (const id of [IDS.environment, HUB_UPSTREAM]) await assert.rejects(removals.begin(id), { code: 'ORK_NOT_FOUND' });
  assert.throws(() => removals.status(DEPLOYMENT), { code: 'ORK_NOT_FOUND' });
  assert.deepEqual(journal.unfinished(), []);
});

test('two concurrent requests start one removal, and a failed removal is reported and runs again on request', async (t) => {
  const { removals, removed, left, failures } = await host(t, { container: IDS.environment });
  const both = await Promise.all([removals.begin(IDS.environment), removals.begin(IDS.environment)]);
  assert.equal(both[0], both[1]);
  await until(() => removals.status(both[0]).ended);
  const other = await host(t, { container: IDS.environment });
  other.failures.push(new OrkestrError('ORK_INVALID', 'The proxy does not like it.'));
  assert.equal(await other.removed(IDS.environment), 'ORK_INVALID');
  assert.equal(await other.removed(IDS.environment), null);
  assert.deepEqual([left(), other.left(), failures.length], [0, 0, 0]);
  assert.equal(await removed(IDS.environment), null, 'nothing left is nothing to do');
});
