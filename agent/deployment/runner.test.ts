import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { Settings } from '../../protocol/job.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import type { Release } from '../../protocol/steps.ts';
import { noSignals, outputFor } from './test-bench.ts';
import { deployJob, IDS, rollbackJob } from './test-job.ts';
import type { ScriptedStep } from './test-bench.ts';
import type { Ports } from './ports.ts';
import { bench, told } from './test-runner.ts';
import type { Script } from './test-runner.ts';

const releaseOf = (): Release => outputFor('finalize', { job: deployJob() });

test('a deployment runs the seven steps in order and becomes live', async (t) => {
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

test('a step can read the outputs of earlier steps, and asking for a later one is a bug', async (t) => {
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

test('the next deployment supersedes the previous one and receives it as previous', async (t) => {
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

test('a deployment knows that the previous one is a worker, whatever it is itself', async (t) => {
  const previous: unknown[] = [];
  const { journal, run } = await bench(t, {
    deploy: {
      async run(context) {
        previous.push(context.previous);
        return undefined;
      },
    },
  });
  const settings = Settings.parse({ healthCheck: { kind: 'running' } });
  const [worker, web] = [deployJob({ settings }), deployJob({ generation: 2 })];
  for (const job of [worker, web]) {
    journal.accept(job);
    await run(job.deploymentId);
  }
  assert.deepEqual(previous, [null, { deploymentId: worker.deploymentId, foundPort: null, isWorker: true }]);
});

test('a rollback whose image is still here starts at deploy and says so', async (t) => {
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

test('a rollback whose image is gone builds the commit of the release and says so', async (t) => {
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

test('an agent that stops during a step records no end, and the next start resumes at that step', async (t) => {
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

test('a target that a reboot stopped before the flip is deployed and probed again; a running one is not', async (t) => {
  for (const isTargetUp of [true, false]) {
    const shutdown = new AbortController();
    const health: ScriptedStep = {
      async run({ signal }) {
        if (shutdown.signal.aborted) return undefined;
        shutdown.abort(new OrkestrError('ORK_INTERRUPTED', 'stops'));
        signal.throwIfAborted();
        return undefined;
      },
    };
    const { journal, run, pipeline } = await bench(t, { health }, { isTargetUp: async () => isTargetUp });
    const job = deployJob();
    journal.accept(job);
    await run(job.deploymentId, { ...noSignals(), shutdown: shutdown.signal });
    pipeline.calls.length = 0;
    await run(job.deploymentId);
    assert.deepEqual(pipeline.calls, [
      ...(isTargetUp ? [] : ['run deploy']),
      'run health',
      'run cutover',
      'run finalize',
    ]);
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
