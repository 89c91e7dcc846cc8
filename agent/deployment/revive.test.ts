import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { RemoveJob } from '../../protocol/job.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { CLOSED_PORT } from '../../test/harness/free-port.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { noSignals, openTestJournal, outputFor, runnerParts, scriptedPipeline } from './test-bench.ts';
import { hastyClock } from './test-clock.ts';
import { deployJob, IDS } from './test-job.ts';
import { scriptedPorts } from './test-ports.ts';
import { containerOf } from './test-container.ts';
import type { ContainerState, Ports } from './ports.ts';
import type { JobRecord, LiveRecord } from './records.ts';
import { revive } from './revive.ts';
import { runDeployment } from './runner.ts';

const quiet = { write: () => undefined, line: () => undefined };

const container = (deploymentId: string, changes: Partial<ContainerState> = {}): ContainerState =>
  containerOf(deploymentId, { address: '127.0.0.1', ...changes });

test('revive runs deploy and health with the journaled outputs and env, and sets the restart policy', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  const seen: unknown[] = [];
  const pipeline = scriptedPipeline({
    deploy: {
      async run(context) {
        seen.push(context.job.env, context.output('build').id);
        return { ...outputFor('deploy', context), address: '172.30.0.9' };
      },
    },
    health: {
      async run(context) {
        seen.push(context.output('deploy').address);
        return undefined;
      },
    },
  });
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());
  const live = journal.live(IDS.environment);
  assert.ok(live);
  pipeline.calls.length = 0;
  seen.length = 0;
  const keepRunning = async (name: string): Promise<void> => void pipeline.calls.push(`keep ${name}`);
  const containers = { keepRunning } as unknown as Ports['containers'];
  const parts = { journal, ports: scriptedPorts({ containers, clock: hastyClock() }), pipeline, log: quiet };
  assert.equal(await revive(parts, live, new AbortController().signal), '172.30.0.9');
  assert.deepEqual(pipeline.calls, ['run deploy', 'run health', `keep orkestr-${job.deploymentId}`]);
  assert.deepEqual(seen, [job.env, outputFor('build', { job }).id, '172.30.0.9']);
});

/** @param host of its only route; null: it has none */
const adopted = (port: number, host: string | null = 'shop.example.com'): LiveRecord => ({
  environmentId: IDS.environment,
  projectId: IDS.project,
  deploymentId: IDS.host,
  entry: UpstreamEntry.parse({
    id: IDS.environment,
    generation: 4,
    targets: [{ id: IDS.host, address: '172.30.0.2', port }],
    routes: host === null ? [] : [{ host, pathPrefix: '/' }],
  }),
  healthCheck: null,
  release: null,
});

test('an adopted container without a readable job starts as it is, and must answer before it is used', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const app = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  t.after(() => app.close());
  await once(app, 'listening');
  const started: string[] = [];
  const containers = {
    inspect: async () => container(IDS.host, { running: false, address: null }),
    async startExisting(name: string) {
      started.push(name);
      return container(IDS.host);
    },
    keepRunning: async () => undefined,
  } as unknown as Ports['containers'];
  const parts = { journal, ports: scriptedPorts({ containers }), pipeline: scriptedPipeline(), log: quiet };
  const { port } = app.address() as AddressInfo;
  assert.equal(await revive(parts, adopted(port), new AbortController().signal), '127.0.0.1');
  assert.deepEqual(started, [`orkestr-${IDS.host}`]);

  // As after a restore of the state folder without its key.
  const lost = { ...journal, job: () => ({}) as JobRecord, payload: () => assert.fail('sealed with another key') };
  assert.equal(await revive({ ...parts, journal: lost }, adopted(port), new AbortController().signal), '127.0.0.1');
  assert.equal(started.length, 2);
});

test('an adopted container without a domain is a worker, and only has to run', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const containers = {
    inspect: async () => container(IDS.host, { running: false, address: null }),
    startExisting: async () => container(IDS.host),
    keepRunning: async () => undefined,
  } as unknown as Ports['containers'];
  const parts = {
    journal,
    ports: scriptedPorts({ containers, clock: hastyClock() }),
    pipeline: scriptedPipeline(),
    log: quiet,
  };
  const signal = new AbortController().signal;
  assert.equal(await revive(parts, adopted(CLOSED_PORT, null), signal), '127.0.0.1');
  await assert.rejects(revive(parts, adopted(CLOSED_PORT), signal), { code: 'ORK_PORT_CLOSED' });
});

test('revive reports that an adopted container is gone, since it cannot be recreated', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const containers = { inspect: async () => null } as unknown as Ports['containers'];
  const parts = { journal, ports: scriptedPorts({ containers }), pipeline: scriptedPipeline(), log: quiet };
  await assert.rejects(revive(parts, adopted(1), new AbortController().signal), /is gone/);
});

test('the redelivered job of an adopted deployment undoes nothing when it fails', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const job = deployJob({ generation: 4, deploymentId: IDS.host });
  journal.adopt(adopted(80));
  assert.equal(journal.accept(deployJob({ generation: 4 })), 'stale');
  assert.equal(journal.accept(job), 'new');
  const unhealthy = { run: () => Promise.reject(new OrkestrError('ORK_UNHEALTHY', 'not today')) };
  const pipeline = scriptedPipeline({ health: unhealthy });
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());
  assert.ok(!pipeline.calls.some((call) => call.startsWith('undo')));
  assert.equal(journal.live(IDS.environment)?.deploymentId, IDS.host);
});

test('after a removal that fails behind the route, the environment is not live and is not revived', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  const pipeline = scriptedPipeline();
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());
  const removal = RemoveJob.parse({ ...deployJob({ generation: 2 }), kind: 'remove' });
  journal.accept(removal);
  const remove = async (): Promise<void> => undefined;
  let list = (): Promise<[]> => Promise.reject(new Error('driver failed to remove root filesystem'));
  const ports = {
    proxy: { remove } as unknown as Ports['proxy'],
    containers: { list: async () => list(), removeNetwork: remove } as unknown as Ports['containers'],
    images: { list: async () => [] } as unknown as Ports['images'],
  };
  const run = () => runDeployment(runnerParts({ folder, journal, pipeline, ports }), removal.deploymentId, noSignals());
  await run();
  assert.equal(journal.job(removal.deploymentId)?.state, 'failed');
  assert.equal(journal.live(IDS.environment), null);
  assert.equal(journal.job(job.deploymentId)?.state, 'superseded');

  list = async () => [];
  journal.requeue(removal);
  await run();
  assert.equal(journal.job(removal.deploymentId)?.state, 'superseded');
});

test('a remove job removes the route, containers, images and network of its environment, in that order', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  const pipeline = scriptedPipeline();
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());

  const done: string[] = [];
  let left = [container(job.deploymentId), container(IDS.host, { environmentId: IDS.host, projectId: IDS.host })];
  const tell =
    (what: string) =>
    async (name: string): Promise<void> => {
      done.push(`${what} ${name}`);
    };
  const ports: Partial<Ports> = {
    proxy: { remove: tell('route') } as unknown as Ports['proxy'],
    containers: {
      list: async () => left,
      async stopAndRemove(name: string) {
        done.push(`container ${name}`);
        left = left.filter((one) => one.name !== name);
      },
      removeNetwork: tell('network'),
    } as unknown as Ports['containers'],
    images: {
      list: async () => [{ id: 'sha256:1', reference: 'r', deploymentId: job.deploymentId }],
      remove: tell('image'),
    } as unknown as Ports['images'],
    workspaces: { remove: tell('workspace') } as unknown as Ports['workspaces'],
  };
  const removal = RemoveJob.parse({ ...deployJob({ generation: 2 }), kind: 'remove' });
  journal.accept(removal);
  await runDeployment(runnerParts({ folder, journal, pipeline, ports }), removal.deploymentId, noSignals());
  assert.deepEqual(done, [
    `route ${IDS.environment}`,
    `container orkestr-${job.deploymentId}`,
    `workspace ${job.deploymentId}`,
    'image sha256:1',
    `network orkestr-${IDS.project}`,
  ]);
  assert.equal(journal.live(IDS.environment), null);
  assert.equal(journal.job(job.deploymentId)?.state, 'superseded');
  assert.equal(journal.job(removal.deploymentId)?.state, 'superseded');
});

test('revive succeeds even if a full disk keeps Docker from storing the restart policy', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const app = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  t.after(() => app.close());
  await once(app, 'listening');
  const reviveWith = (code: 'ORK_DISK_FULL' | 'ORK_ENGINE_TIMEOUT'): Promise<string> => {
    const containers = {
      inspect: async () => container(IDS.host),
      keepRunning: () => Promise.reject(new OrkestrError(code, 'It cannot.')),
    } as unknown as Ports['containers'];
    const parts = { journal, ports: scriptedPorts({ containers }), pipeline: scriptedPipeline(), log: quiet };
    return revive(parts, adopted((app.address() as AddressInfo).port), new AbortController().signal);
  };
  assert.equal(await reviveWith('ORK_DISK_FULL'), '127.0.0.1');
  await assert.rejects(reviveWith('ORK_ENGINE_TIMEOUT'), { code: 'ORK_ENGINE_TIMEOUT' });
});
