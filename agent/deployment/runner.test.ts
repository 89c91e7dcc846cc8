import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Report } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import type { Release } from '../../protocol/steps.ts';
import type { Journal } from '../journal/journal.ts';
import { systemClock } from '../lib/clock.ts';
import {
  deployJob,
  hastyClock,
  IDS,
  noSignals,
  openTestJournal,
  outputFor,
  rollbackJob,
  runnerParts,
  scriptedPipeline,
  temporaryFolder,
} from '../test-bench.ts';
import type { ScriptedStep } from '../test-bench.ts';
import type { Pipeline } from './pipeline.ts';
import type { Clock, Ports } from './ports.ts';
import { runDeployment } from './runner.ts';
import type { RunSignals } from './run.ts';

type Script = Partial<Record<(typeof STEP_NAMES)[number], ScriptedStep>>;

interface Bench {
  readonly journal: Journal;
  readonly folder: string;
  readonly pipeline: ReturnType<typeof scriptedPipeline>;
  readonly run: (deploymentId: string, signals?: RunSignals) => Promise<void>;
  readonly reports: () => Report[];
}

async function bench(
  t: TestContext,
  script: Script = {},
  options: Partial<Pick<Pipeline, 'hasFlipped' | 'stands'>> & { ports?: Partial<Ports>; clock?: Clock } = {},
): Promise<Bench> {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const pipeline = scriptedPipeline(script, options.hasFlipped, options.stands);
  const parts = runnerParts({
    folder,
    journal,
    pipeline,
    ...(options.ports && { ports: options.ports }),
    clock: options.clock ?? hastyClock(),
  });
  return {
    journal,
    folder,
    pipeline,
    run: (deploymentId, signals = noSignals()) => runDeployment(parts, deploymentId, signals),
    reports: () => journal.outbox.after(0, 1000).flatMap((row) => (row.kind === 'report' ? [row.report] : [])),
  };
}

const told = (reports: Report[]): string[] =>
  reports.flatMap((report) => {
    if (report.kind === 'step') return [`${report.step} ${report.status}`];
    return report.kind === 'deployment' ? [`deployment ${report.status}`] : [];
  });

const failing = (code: 'ORK_BUILD_FAILED' | 'ORK_UNHEALTHY' | 'ORK_INTERNAL'): ScriptedStep => ({
  async run() {
    throw new OrkestrError(code, 'it failed', { evidence: ['exit code 1'] });
  },
});

test('a deployment goes through the seven steps in their order and is live', async (t) => {
  const { journal, run, reports, pipeline } = await bench(t);
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.deepEqual(
    pipeline.calls,
    STEP_NAMES.map((name) => `run ${name}`),
  );
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
  assert.equal(journal.live(IDS.environment)?.deploymentId, job.deploymentId);
  assert.equal(journal.live(IDS.environment)?.release?.commit, job.commit);
  assert.deepEqual(told(reports()), [
    'deployment running',
    ...STEP_NAMES.flatMap((name) => [`${name} running`, `${name} done`]),
    'deployment live',
  ]);
});

test('what an earlier step left reaches a later one, and asking for a later one is a bug', async (t) => {
  const seen: unknown[] = [];
  const { journal, run } = await bench(t, {
    deploy: {
      async run(context) {
        seen.push(context.output('build').reference);
        assert.throws(() => context.output('health'), /has not run/);
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.deepEqual(seen, [`orkestr/${IDS.environment}:${job.deploymentId}`]);
});

test('a failure before the flip undoes in reverse order and keeps its cause', async (t) => {
  const { journal, run, reports, pipeline } = await bench(t, { health: failing('ORK_UNHEALTHY') });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.deepEqual(
    pipeline.calls.filter((call) => call.startsWith('undo')),
    ['undo health', 'undo deploy', 'undo build', 'undo analyze', 'undo clone'],
  );
  assert.equal(journal.job(job.deploymentId)?.state, 'failed');
  assert.equal(journal.live(IDS.environment), null);
  const last = reports().at(-1);
  assert.ok(last?.kind === 'deployment' && last.status === 'failed');
  assert.equal(last.error?.code, 'ORK_UNHEALTHY');
  assert.deepEqual(last.error?.evidence, ['exit code 1']);
});

test('an undo has time for an app that uses up its grace', async (t) => {
  const waits: number[] = [];
  const hasty = hastyClock();
  const sleep: Clock['sleep'] = (ms, signal) => {
    waits.push(ms);
    return hasty.sleep(ms, signal);
  };
  const { journal, run } = await bench(t, { health: failing('ORK_UNHEALTHY') }, { clock: { ...hasty, sleep } });
  const job = deployJob({ settings: { ...deployJob().settings, stopGraceSeconds: 600 } });
  journal.accept(job);
  await run(job.deploymentId);
  assert.ok(waits.includes(660_000));
});

test('an undo that fails is told in the evidence, the cause stays the cause, and the others are undone', async (t) => {
  const { journal, run, reports, pipeline } = await bench(t, {
    health: failing('ORK_UNHEALTHY'),
    deploy: {
      async undo() {
        throw new Error('the container will not go');
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  const last = reports().at(-1);
  assert.ok(last?.kind === 'deployment');
  assert.equal(last.error?.code, 'ORK_UNHEALTHY');
  assert.match(last.error?.evidence.join('\n') ?? '', /not taken back: deploy: the container will not go/);
  assert.ok(pipeline.calls.includes('undo clone'));
});

test('an engine that does not answer for a while is asked again within the step', async (t) => {
  let calls = 0;
  const { journal, run, folder } = await bench(t, {
    deploy: {
      async run() {
        calls += 1;
        if (calls < 4) throw new OrkestrError('ORK_ENGINE_UNREACHABLE', 'nobody there');
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(calls, 4);
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
  assert.match(readFileSync(join(folder, 'logs', job.deploymentId, 'deploy.log'), 'utf8'), /ORK_ENGINE_UNREACHABLE/);
});

test('a git server that restarts is waited for, one that does not exist ends the deployment before its time limit', async (t) => {
  let calls = 0;
  const unreachable = (until: number): Script => ({
    clone: {
      async run() {
        calls += 1;
        if (calls < until) throw new OrkestrError('ORK_REPO_UNREACHABLE', 'nobody there');
        return undefined;
      },
    },
  });
  const [restarting, missing] = [await bench(t, unreachable(4)), await bench(t, unreachable(Infinity))];
  const job = deployJob();
  restarting.journal.accept(job);
  await restarting.run(job.deploymentId);
  assert.equal(restarting.journal.job(job.deploymentId)?.state, 'live');
  missing.journal.accept(job);
  await missing.run(job.deploymentId);
  assert.equal(missing.journal.job(job.deploymentId)?.error?.code, 'ORK_REPO_UNREACHABLE');
});

test('a disk without room for another file is the matter of the host, whichever step meets it', async (t) => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, mkdtemp'), { code: 'ENOSPC' });
  const { journal, run } = await bench(t, { clone: { run: () => Promise.reject(full) } });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  const error = journal.job(job.deploymentId)?.error;
  assert.equal(error?.code, 'ORK_DISK_FULL');
  assert.match(error.message, /^The disk of the host is full: .*mkdtemp/);
});

test('a failing build is not tried again', async (t) => {
  const { journal, run, pipeline } = await bench(t, { build: failing('ORK_BUILD_FAILED') });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(pipeline.calls.filter((call) => call === 'run build').length, 1);
});

test('a step that is not over in time is ended with the code of its stage', async (t) => {
  const clock: Clock = { ...hastyClock(), sleep: async (ms, signal) => hastyClock().sleep(Math.min(ms, 1), signal) };
  const { journal, run, reports } = await bench(
    t,
    {
      build: {
        run: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
    },
    { clock },
  );
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  const last = reports().at(-1);
  assert.ok(last?.kind === 'deployment');
  assert.match(last.error?.message ?? '', /build was not done within 60 s/);
});

test('a step that an engine without an answer has used up is ended with the code of the engine', async (t) => {
  const hasty = hastyClock();
  const clock: Clock = {
    ...hasty,
    sleep: (ms, signal) => (ms >= 60_000 ? systemClock.sleep(30, signal) : hasty.sleep(ms, signal)),
  };
  let calls = 0;
  const { journal, run } = await bench(
    t,
    {
      health: {
        run({ signal }) {
          calls += 1;
          if (calls === 1) throw new OrkestrError('ORK_ENGINE_TIMEOUT', 'Docker Engine is silent.');
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        },
      },
    },
    { clock },
  );
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  const error = journal.job(job.deploymentId)?.error;
  assert.equal(error?.code, 'ORK_ENGINE_TIMEOUT');
  assert.match(error.message, /health was not done within 60 s/);
  assert.ok(error.evidence.includes('Docker Engine is silent.'));
});

test('a step that never heeds its signal is left behind, and the deployment still ends', async (t) => {
  const clock: Clock = { ...hastyClock(), sleep: async (ms, signal) => hastyClock().sleep(Math.min(ms, 1), signal) };
  const { journal, run } = await bench(t, { build: { run: () => new Promise(() => undefined) } }, { clock });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'failed');
});

test('a cancel before the flip ends the step, undoes, and is cancelled, not failed', async (t) => {
  const cancel = new AbortController();
  const { journal, run, reports, pipeline } = await bench(t, {
    build: {
      run: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('the build was torn down')));
          cancel.abort(new OrkestrError('ORK_CANCELLED', 'cancelled'));
        }),
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId, { ...noSignals(), cancel: cancel.signal });
  assert.equal(journal.job(job.deploymentId)?.state, 'cancelled');
  assert.ok(told(reports()).includes('build cancelled'));
  assert.equal(told(reports()).at(-1), 'deployment cancelled');
  assert.ok(pipeline.calls.includes('undo clone'));
  assert.ok(!pipeline.calls.includes('run deploy'));
});

test('a cancel after the flip is ignored, with a note', async (t) => {
  const cancel = new AbortController();
  const { journal, run, reports } = await bench(t, {
    finalize: {
      async run({ signal }) {
        cancel.abort(new OrkestrError('ORK_CANCELLED', 'cancelled'));
        signal.throwIfAborted();
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId, { ...noSignals(), cancel: cancel.signal });
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
  const done = reports().findLast((report) => report.kind === 'step');
  assert.match(done?.note ?? '', /came after the flip/);
});

test('a cancel that meets the drain is too late: the step is heard out once and not repeated', async (t) => {
  const cancel = new AbortController();
  const { journal, run, pipeline } = await bench(t, {
    cutover: {
      async run() {
        cancel.abort(new OrkestrError('ORK_CANCELLED', 'cancelled'));
        await new Promise((resolve) => setTimeout(resolve, 20));
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId, { ...noSignals(), cancel: cancel.signal });
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
  assert.equal(pipeline.calls.filter((call) => call === 'run cutover').length, 1);
});

test('what has taken over is live before its cutover is done: cut off and failing then, nothing is taken back', async (t) => {
  const shutdown = new AbortController();
  const { journal, run, pipeline } = await bench(t, {
    cutover: {
      async run({ isLive, takeOver, signal }) {
        assert.equal(isLive, shutdown.signal.aborted);
        if (isLive) throw new OrkestrError('ORK_INTERNAL', 'it does not drain');
        takeOver();
        shutdown.abort(new OrkestrError('ORK_INTERRUPTED', 'stops'));
        signal.throwIfAborted();
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId, { ...noSignals(), shutdown: shutdown.signal });
  assert.equal(journal.job(job.deploymentId)?.state, 'running');
  assert.equal(journal.live(IDS.environment)?.entry.targets[0]?.id, job.deploymentId);
  await run(job.deploymentId);
  assert.equal(journal.live(IDS.environment)?.deploymentId, job.deploymentId);
  assert.ok(!pipeline.calls.some((call) => call.startsWith('undo')));
});

test('cutover fails and the proxy says it has not flipped: everything is undone', async (t) => {
  const { journal, run } = await bench(t, { cutover: failing('ORK_INTERNAL') }, { hasFlipped: async () => false });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'failed');
});

test('cutover fails and the proxy says it has flipped: only forward', async (t) => {
  let calls = 0;
  const script: Script = {
    cutover: {
      async run() {
        calls += 1;
        if (calls === 1) throw new OrkestrError('ORK_CUTOVER_FAILED', 'the answer was lost');
        return undefined;
      },
    },
  };
  const { journal, run, pipeline } = await bench(t, script, { hasFlipped: async () => true });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
  assert.deepEqual(
    pipeline.calls.filter((call) => call.startsWith('undo')),
    [],
  );
});

test('while the proxy does not say whether it flipped, the runner neither undoes nor goes on', async (t) => {
  let asked = 0;
  const hasFlipped = async (): Promise<boolean> => {
    asked += 1;
    if (asked < 20) throw new OrkestrError('ORK_PROXY_UNREACHABLE', 'down');
    return false;
  };
  const { journal, run, pipeline } = await bench(t, { cutover: failing('ORK_INTERNAL') }, { hasFlipped });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(asked, 20);
  assert.equal(pipeline.calls[6], 'undo cutover');
});

test('finalize that fails for good leaves the new one serving: failed, nothing undone, remembered as live', async (t) => {
  const { journal, run, reports, pipeline } = await bench(t, { finalize: failing('ORK_INTERNAL') });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'failed');
  assert.equal(journal.live(IDS.environment)?.deploymentId, job.deploymentId);
  assert.ok(!pipeline.calls.some((call) => call.startsWith('undo')));
  assert.equal(pipeline.calls.filter((call) => call === 'run finalize').length, 5);
  const last = reports().at(-1);
  assert.match((last?.kind === 'deployment' && last.error?.message) || '', /new version serves all the same/);
  // Its env is still needed to start it again.
  assert.equal(journal.payload(job.deploymentId).deploymentId, job.deploymentId);
});

test('a failure that is told at full length after the flip keeps within the bounds of a report', async (t) => {
  const fail = async (): Promise<never> => {
    throw new OrkestrError('ORK_INTERNAL', 'x'.repeat(5000));
  };
  const { journal, run, reports } = await bench(t, { finalize: { run: fail } });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.match(journal.job(job.deploymentId)?.error?.message ?? '', /^x+ The new version serves all the same\.$/);
  assert.deepEqual(Report.parse(reports().at(-1)), reports().at(-1));
});

test('the next deployment supersedes the one before and knows it as previous, also after a restart', async (t) => {
  const previous: unknown[] = [];
  const { journal, run } = await bench(t, {
    finalize: {
      async run(context) {
        previous.push(context.previous);
        return undefined;
      },
    },
  });
  const [first, second] = [deployJob(), deployJob({ generation: 2 })];
  for (const job of [first, second]) {
    journal.accept(job);
    await run(job.deploymentId);
  }
  assert.deepEqual(previous, [null, { deploymentId: first.deploymentId, foundPort: null }]);
  assert.equal(journal.job(first.deploymentId)?.state, 'superseded');
  assert.equal(journal.live(IDS.environment)?.deploymentId, second.deploymentId);
});

const releaseOf = (): Release => outputFor('finalize', { job: deployJob() });

test('a rollback whose image is still there enters at deploy and says so', async (t) => {
  const release = releaseOf();
  const images = { find: async (id: string) => (id === release.image.id ? release.image : null) } as Ports['images'];
  const used: unknown[] = [];
  const script: Script = {
    deploy: {
      async run(context) {
        used.push(context.output('build').id, context.job.commit, context.output('analyze').framework);
        return undefined;
      },
    },
  };
  const { journal, run, reports, pipeline } = await bench(t, script, { ports: { images } });
  const job = rollbackJob(release, { generation: 3, deploymentId: deployJob().deploymentId });
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(pipeline.calls[0], 'run deploy');
  assert.deepEqual(used, [release.image.id, release.commit, 'test']);
  const skipped = reports().filter((report) => report.kind === 'step' && report.status === 'skipped');
  assert.equal(skipped.length, 3);
  for (const report of skipped) {
    assert.ok(report.kind === 'step');
    assert.equal(report.note, `image of deployment ${release.deploymentId} retained`);
  }
});

test('a rollback whose image is gone builds the commit of the release, and says so', async (t) => {
  const release = { ...releaseOf(), commit: 'd'.repeat(40) };
  const images = { find: async () => null } as unknown as Ports['images'];
  const commits: string[] = [];
  const script: Script = {
    clone: {
      async run({ job }) {
        commits.push(job.commit);
        return undefined;
      },
    },
  };
  const { journal, run, reports } = await bench(t, script, { ports: { images } });
  const job = rollbackJob(release, { deploymentId: deployJob().deploymentId });
  journal.accept(job);
  await run(job.deploymentId);
  assert.deepEqual(commits, ['d'.repeat(40)]);
  const clone = reports().find((report) => report.kind === 'step' && report.step === 'clone');
  assert.ok(clone?.kind === 'step');
  assert.match(clone.note ?? '', /no longer on this host: its commit d{40} is built again/);
});

test('an agent that stops in the middle records no end, and the next start goes on at that step', async (t) => {
  const shutdown = new AbortController();
  let stop = true;
  const { journal, run, pipeline } = await bench(t, {
    build: {
      async run({ signal }) {
        if (!stop) return undefined;
        shutdown.abort(new OrkestrError('ORK_INTERRUPTED', 'the agent stops'));
        signal.throwIfAborted();
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId, { ...noSignals(), shutdown: shutdown.signal });
  assert.equal(journal.job(job.deploymentId)?.state, 'running');
  stop = false;
  pipeline.calls.length = 0;
  await run(job.deploymentId);
  assert.deepEqual(
    pipeline.calls,
    STEP_NAMES.slice(2).map((name) => `run ${name}`),
  );
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
});

test('a target that a reboot has stopped before the flip is deployed and probed again; one that stands is not', async (t) => {
  for (const stands of [true, false]) {
    const shutdown = new AbortController();
    const health: ScriptedStep = {
      async run({ signal }) {
        if (shutdown.signal.aborted) return undefined;
        shutdown.abort(new OrkestrError('ORK_INTERRUPTED', 'stops'));
        signal.throwIfAborted();
        return undefined;
      },
    };
    const { journal, run, pipeline } = await bench(t, { health }, { stands: async () => stands });
    const job = deployJob();
    journal.accept(job);
    await run(job.deploymentId, { ...noSignals(), shutdown: shutdown.signal });
    pipeline.calls.length = 0;
    await run(job.deploymentId);
    assert.deepEqual(pipeline.calls, [...(stands ? [] : ['run deploy']), 'run health', 'run cutover', 'run finalize']);
    assert.equal(journal.job(job.deploymentId)?.state, 'live');
  }
});

test('a deployment that was cancelled while it waited never starts', async (t) => {
  const { journal, run, reports, pipeline } = await bench(t);
  const job = deployJob();
  journal.accept(job);
  journal.requestCancel(job.deploymentId);
  await run(job.deploymentId);
  assert.deepEqual(pipeline.calls, []);
  assert.deepEqual(told(reports()), ['deployment cancelled']);
});

test('values of environment variables do not reach the log files', async (t) => {
  const { journal, run, folder } = await bench(t, {
    build: {
      async run({ log }) {
        log.write(Buffer.from('the secret is hunter2-'));
        log.write(Buffer.from('hunter2, really\n'));
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  const text = readFileSync(join(folder, 'logs', job.deploymentId, 'build.log'), 'utf8');
  assert.match(text, /the secret is \[redacted\], really/);
});

test('an output that does not have its shape is a failure of that step, not a surprise for a later one', async (t) => {
  const { journal, run, reports } = await bench(t, { build: { run: async () => ({ id: 'latest' }) } });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.ok(told(reports()).includes('build failed'));
});
