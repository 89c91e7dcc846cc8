import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hastyClock } from './test-clock.ts';
import { deployJob, IDS } from './test-job.ts';
import type { Clock } from './ports.ts';
import { bench, failing } from './test-runner.ts';

test('a failure before the flip undoes the steps in reverse order and keeps its cause', async (t) => {
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

test('an undo has time for an app that uses up its grace period', async (t) => {
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

test('a failing undo is added to the evidence, the cause stays, and the other steps are still undone', async (t) => {
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
  assert.match(last.error?.evidence.join('\n') ?? '', /not undone: deploy: the container will not go/);
  assert.ok(pipeline.calls.includes('undo clone'));
});

test('if cutover fails and the proxy reports no flip, every step is undone', async (t) => {
  const { journal, run } = await bench(t, { cutover: failing('ORK_INTERNAL') }, { hasFlipped: async () => false });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'failed');
});
