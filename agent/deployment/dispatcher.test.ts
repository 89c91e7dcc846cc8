import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { RemoveJob } from '../../protocol/job.ts';
import type { StepName } from '../../protocol/steps.ts';
import { until } from '../../test/harness/until.ts';
import type { Journal } from '../journal/journal.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { openTestJournal, runnerParts, scriptedPipeline } from './test-bench.ts';
import { deployJob, IDS } from './test-job.ts';
import type { ScriptedStep } from './test-bench.ts';
import { makeDispatcher } from './dispatcher.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Ports } from './ports.ts';
import { DEFAULT_QUEUE_LIMITS } from './queue.ts';

const AT = new Date(0).toISOString();

interface Bench {
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly calls: string[];
  readonly finals: () => string[];
}

async function bench(
  t: TestContext,
  script: Partial<Record<StepName, ScriptedStep>> = {},
  limits = DEFAULT_QUEUE_LIMITS,
  wrap: (journal: Journal) => Journal = (journal) => journal,
  ports: Partial<Ports> = {},
): Promise<Bench> {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  const pipeline = scriptedPipeline(script);
  const dispatcher = makeDispatcher({
    parts: runnerParts({ folder, journal: wrap(journal), pipeline, ports }),
    intake: journal,
    limits,
    onEnded: () => undefined,
  });
  t.after(async () => {
    await dispatcher.stop(1000);
    journal.close();
  });
  const finals = (): string[] =>
    journal.outbox
      .after(0, 1000)
      .flatMap((row) => (row.kind === 'report' && row.report.kind === 'deployment' ? [row.report] : []))
      .filter(({ status }) => status !== 'running')
      .map(({ status, error }) => `${status}${error === undefined ? '' : ` ${error.code}`}`);
  return { journal, dispatcher, calls: pipeline.calls, finals };
}

test('a job that is delivered five times runs once', async (t) => {
  const { dispatcher, calls, finals } = await bench(t);
  const job = deployJob();
  for (let index = 0; index < 5; index++) dispatcher.accept(job);
  await dispatcher.idle();
  assert.equal(calls.filter((call) => call === 'run clone').length, 1);
  assert.deepEqual(finals(), ['live']);
});

test('a hub that resends an ended job gets the same answer, and nothing runs', async (t) => {
  const { dispatcher, calls, finals, journal } = await bench(t);
  const job = deployJob();
  dispatcher.accept(job);
  await dispatcher.idle();
  journal.outbox.acknowledge(1000);
  calls.length = 0;
  dispatcher.accept(job);
  await dispatcher.idle();
  assert.deepEqual(calls, []);
  assert.deepEqual(finals(), ['live']);
});

test('an older generation never runs, whatever the order of arrival', async (t) => {
  const { dispatcher, finals, journal } = await bench(t);
  dispatcher.accept(deployJob({ generation: 7 }));
  dispatcher.accept(deployJob({ generation: 6 }));
  await dispatcher.idle();
  assert.deepEqual(finals().sort(), ['failed ORK_GENERATION_STALE', 'live']);
  assert.equal(journal.live(IDS.environment)?.entry.generation, 7);
});

test('a stale job runs once the hub resends it with a generation above the newest on this host', async (t) => {
  const { dispatcher, finals, journal } = await bench(t);
  dispatcher.accept(deployJob({ generation: 7 }));
  await dispatcher.idle();
  const behind = deployJob({ generation: 3 });
  dispatcher.accept(behind);
  const refusal = journal.outbox.after(0, 1000).at(-1);
  assert.ok(refusal?.kind === 'report' && refusal.report.kind === 'deployment');
  assert.equal(refusal.report.newest, 7);
  dispatcher.accept({ ...behind, generation: 8 });
  await dispatcher.idle();
  assert.deepEqual(finals(), ['live', 'failed ORK_GENERATION_STALE', 'live']);
});

test('with shuffled jobs of many environments, the live generation of each only increases', async (t) => {
  const { dispatcher, journal } = await bench(t, {}, { maxRunning: 4, maxWaiting: 1000 });
  const environments = [IDS.environment, IDS.project, IDS.host];
  const jobs = Array.from({ length: 60 }, (_, index) =>
    deployJob({ generation: 1 + Math.floor(index / 3), environment: { id: environments[index % 3] ?? '', slug: 'e' } }),
  );
  // A fixed shuffle: the test must be repeatable.
  const shuffled = jobs.map((job, index) => ({ job, at: (index * 37) % 61 })).sort((a, b) => a.at - b.at);
  for (const { job } of shuffled) dispatcher.accept(job);
  await dispatcher.idle();
  for (const environment of environments) {
    const lives = journal.deployments(1000).filter((one) => one.environmentId === environment);
    const generations = lives.map(({ generation }) => generation);
    assert.deepEqual(
      generations,
      generations.toSorted((a, b) => b - a),
    );
    assert.equal(journal.live(environment)?.entry.generation, 20);
  }
});

test('a job that exceeds the queue limit is rejected at once and does not run later', async (t) => {
  const blocked = Promise.withResolvers<undefined>();
  const { dispatcher, finals } = await bench(
    t,
    { clone: { run: () => blocked.promise } },
    { maxRunning: 1, maxWaiting: 1 },
  );
  for (let generation = 1; generation <= 3; generation++) dispatcher.accept(deployJob({ generation }));
  assert.deepEqual(finals(), ['failed ORK_QUEUE_FULL']);
  blocked.resolve(undefined);
  await dispatcher.idle();
  assert.deepEqual(finals().sort(), ['failed ORK_QUEUE_FULL', 'live', 'live']);
});

test('a removal that failed, or met a full queue once, runs when the hub sends it again', async (t) => {
  let broken = true;
  const blocked = Promise.withResolvers<undefined>();
  const nothing = { list: async () => [], removeNetwork: async () => undefined };
  const { dispatcher, finals, journal } = await bench(
    t,
    { clone: { run: () => blocked.promise } },
    { maxRunning: 1, maxWaiting: 1 },
    undefined,
    {
      proxy: {
        async remove() {
          if (broken) throw new OrkestrError('ORK_TABLE_UNREADABLE', 'Both copies are damaged.');
        },
      } as unknown as Ports['proxy'],
      containers: nothing as unknown as Ports['containers'],
      images: nothing as unknown as Ports['images'],
    },
  );
  const removal = RemoveJob.parse({ ...deployJob({ generation: 2 }), kind: 'remove' });
  journal.refuse(removal, { code: 'ORK_QUEUE_FULL', message: 'By an older agent.', evidence: [] }, AT);
  dispatcher.accept(removal);
  await dispatcher.idle();
  const busy = { id: IDS.project, slug: 'busy' };
  for (const generation of [1, 2]) dispatcher.accept(deployJob({ environment: busy, generation }));
  broken = false;
  dispatcher.accept(removal);
  dispatcher.accept({ ...removal, deploymentId: randomUUIDv7(), environment: { id: IDS.host, slug: 'other' } });
  blocked.resolve(undefined);
  await dispatcher.idle();
  dispatcher.accept(removal);
  await dispatcher.idle();
  assert.deepEqual(finals(), [
    'failed ORK_QUEUE_FULL',
    'failed ORK_TABLE_UNREADABLE',
    'superseded',
    'superseded',
    'live',
    'live',
    'superseded', // reported again, not run again
  ]);
});

test('a removal is accepted at any generation, since a restored hub counts from an older one', async (t) => {
  const { journal } = await bench(t);
  assert.equal(journal.accept(deployJob({ generation: 7 })), 'new');
  assert.equal(journal.accept(RemoveJob.parse({ ...deployJob({ generation: 3 }), kind: 'remove' })), 'new');
  assert.equal(journal.nextGeneration(IDS.environment), 8);
});

test('a removal cuts a long drain short and undoes what has not flipped yet, also after a restart of the agent', async (t) => {
  const drains = Promise.withResolvers<void>();
  const nothing = { list: async () => [], removeNetwork: async () => undefined };
  const ports = {
    proxy: { remove: async () => undefined } as unknown as Ports['proxy'],
    containers: nothing as unknown as Ports['containers'],
    images: nothing as unknown as Ports['images'],
  };
  const untilRemoval: ScriptedStep = {
    run: ({ removal, leaveSlot }) =>
      new Promise((resolve) => {
        leaveSlot();
        removal.addEventListener('abort', () => resolve(undefined));
        if (removal.aborted) resolve(undefined);
        drains.resolve();
      }),
  };
  const { dispatcher, journal, finals } = await bench(
    t,
    { cutover: untilRemoval },
    { maxRunning: 1, maxWaiting: 9 },
    undefined,
    ports,
  );
  const removalOf = (slug: string, id: string): RemoveJob =>
    RemoveJob.parse({ ...deployJob({ generation: 9, environment: { id, slug } }), kind: 'remove' });
  // Interrupted by a restart, with its removal queued behind it.
  journal.accept(deployJob({ environment: { id: IDS.project, slug: 'cut' } }));
  journal.accept(removalOf('cut', IDS.project));
  dispatcher.resume();
  await dispatcher.idle();
  assert.deepEqual(finals(), ['cancelled ORK_CANCELLED', 'superseded']);
  dispatcher.accept(deployJob());
  await drains.promise;
  dispatcher.accept(removalOf('production', IDS.environment));
  await dispatcher.idle();
  assert.deepEqual(finals().slice(2), ['live', 'superseded']);
  assert.equal(journal.live(IDS.environment), null);
});

test('a cancel reaches both the running and the waiting deployment', async (t) => {
  const started = Promise.withResolvers<void>();
  const { dispatcher, finals } = await bench(t, {
    clone: {
      run: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          started.resolve();
        }),
    },
  });
  const [running, waiting] = [deployJob(), deployJob({ generation: 2 })];
  dispatcher.accept(running);
  dispatcher.accept(waiting);
  await started.promise;
  dispatcher.cancel(waiting.deploymentId);
  dispatcher.cancel(running.deploymentId);
  await dispatcher.idle();
  assert.deepEqual(finals(), ['cancelled ORK_CANCELLED', 'cancelled ORK_CANCELLED']);
});

test('a cancel ends a deployment that waits behind builds of other environments and takes none of their slots', async (t) => {
  const started: string[] = [];
  const blocked = Promise.withResolvers<undefined>();
  const { dispatcher, finals } = await bench(t, {
    build: {
      run({ job }) {
        started.push(job.environment.slug);
        return blocked.promise;
      },
    },
  });
  const jobs = [IDS.environment, IDS.project, IDS.host, randomUUIDv7()].map((id, n) =>
    deployJob({ environment: { id, slug: 'abcd'[n] ?? '' } }),
  );
  for (const job of jobs) dispatcher.accept(job);
  await until(() => started.length === 2, 'both slots are taken');
  dispatcher.cancel(jobs[2]?.deploymentId ?? '');
  await until(() => finals().length > 0, 'the third is told to have ended');
  assert.deepEqual(finals(), ['cancelled ORK_CANCELLED']);
  await until(() => !dispatcher.isBusy(IDS.host), 'its environment may take the next one');
  assert.deepEqual(started, ['a', 'b'], 'the fourth waits on');
  blocked.resolve(undefined);
  await dispatcher.idle();
  assert.deepEqual(finals(), ['cancelled ORK_CANCELLED', 'live', 'live', 'live']);
});

test('a cancel takes effect even if a full disk keeps the journal from recording it', async (t) => {
  const started = Promise.withResolvers<void>();
  const { dispatcher, journal, finals } = await bench(t, {
    build: {
      run: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          started.resolve();
        }),
    },
  });
  Object.assign(journal, {
    requestCancel() {
      throw new Error('database or disk is full');
    },
  });
  const job = deployJob();
  dispatcher.accept(job);
  await started.promise;
  assert.throws(() => dispatcher.cancel(job.deploymentId), /disk is full/);
  await dispatcher.idle();
  assert.deepEqual(finals(), ['cancelled ORK_CANCELLED']);
});

test('a third environment is deployed while two others are draining', async (t) => {
  const drained = Promise.withResolvers<undefined>();
  const third = deployJob({ environment: { id: IDS.host, slug: 'c' } });
  const { dispatcher, journal } = await bench(t, {
    cutover: {
      run({ job, leaveSlot }) {
        if (job.deploymentId === third.deploymentId) return Promise.resolve(undefined);
        leaveSlot();
        return drained.promise;
      },
    },
  });
  dispatcher.accept(deployJob());
  dispatcher.accept(deployJob({ environment: { id: IDS.project, slug: 'b' } }));
  dispatcher.accept(third);
  const deadline = performance.now() + 10_000;
  while (journal.job(third.deploymentId)?.state !== 'live' && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(journal.job(third.deploymentId)?.state, 'live');
  assert.equal(dispatcher.unfinished().length, 2);
  assert.ok(dispatcher.isBusy(IDS.environment), 'its environment takes no other one before it has drained');
  drained.resolve(undefined);
  await dispatcher.idle();
  assert.equal(dispatcher.unfinished().length, 0);
});

test('while the journal cannot be written the deployment retries the step, and then it ends once', async (t) => {
  let failures = 3;
  const { dispatcher, finals, calls } = await bench(t, {}, DEFAULT_QUEUE_LIMITS, (journal) => ({
    ...journal,
    record(change) {
      if (change.steps?.some(({ name, state }) => name === 'build' && state === 'done') && failures-- > 0) {
        throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
      }
      journal.record(change);
    },
  }));
  dispatcher.accept(deployJob());
  await dispatcher.idle();
  assert.deepEqual(finals(), ['live']);
  assert.equal(calls.filter((call) => call === 'run build').length, 4);
  assert.equal(calls.filter((call) => call === 'run clone').length, 1);
});

test('after a restart an interrupted deployment resumes before any newer one of its environment', async (t) => {
  const { dispatcher, journal, calls, finals } = await bench(t);
  const [cut, next] = [deployJob(), deployJob({ generation: 2 })];
  journal.accept(cut);
  dispatcher.resume();
  dispatcher.accept(next);
  await dispatcher.idle();
  assert.deepEqual(finals(), ['live', 'live']);
  assert.equal(calls.length, 14);
  assert.equal(journal.live(IDS.environment)?.deploymentId, next.deploymentId);
});
