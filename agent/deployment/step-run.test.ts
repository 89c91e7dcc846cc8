import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Report } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { Journal } from '../journal/journal.ts';
import { systemClock } from '../lib/clock.ts';
import { noSignals, outputFor } from './test-bench.ts';
import { hastyClock } from './test-clock.ts';
import { deployJob, IDS } from './test-job.ts';
import type { Clock } from './ports.ts';
import { emptyStep } from './run.ts';
import { bench, failing, told } from './test-runner.ts';
import type { Script } from './test-runner.ts';

test('the step retries while the engine does not answer', async (t) => {
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

test('the step waits for a restarting git server, and fails before its time limit if there is none', async (t) => {
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

test('a full disk counts as a fault of the host, whichever step meets it', async (t) => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, mkdtemp'), { code: 'ENOSPC' });
  const { journal, run } = await bench(t, { clone: { run: () => Promise.reject(full) } });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  const error = journal.job(job.deploymentId)?.error;
  assert.equal(error?.code, 'ORK_DISK_FULL');
  assert.match(error.message, /^The disk of the host is full: .*mkdtemp/);
});

test('a failed build is not retried', async (t) => {
  const { journal, run, pipeline } = await bench(t, { build: failing('ORK_BUILD_FAILED') });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(pipeline.calls.filter((call) => call === 'run build').length, 1);
});

test('a step that misses its time limit ends with the error of its stage', async (t) => {
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
  assert.match(last.error?.message ?? '', /build did not finish within 60 s/);
});

test('a step whose time limit an unresponsive engine used up ends with the code of the engine', async (t) => {
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
  assert.match(error.message, /health did not finish within 60 s/);
  assert.ok(error.evidence.includes('Docker Engine is silent.'));
});

test('a step that never heeds its signal is abandoned, and the deployment still ends', async (t) => {
  const clock: Clock = { ...hastyClock(), sleep: async (ms, signal) => hastyClock().sleep(Math.min(ms, 1), signal) };
  const { journal, run } = await bench(t, { build: { run: () => new Promise(() => undefined) } }, { clock });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'failed');
});

test('a cancel before the flip aborts the step, undoes, and ends as cancelled, not failed', async (t) => {
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

test('a cancel while the old app stops to make room waits for that before it undoes', async (t) => {
  const cancel = new AbortController();
  let stopped = false;
  const { journal, run } = await bench(t, {
    deploy: {
      async run({ signal }) {
        cancel.abort(new OrkestrError('ORK_CANCELLED', 'cancelled'));
        await new Promise((resolve) => setTimeout(resolve, 20));
        stopped = true;
        throw signal.reason;
      },
      undo: async () => assert.ok(stopped, 'what is being stopped only seems to run'),
    },
  });
  const { settings } = deployJob();
  const job = deployJob({ settings: { ...settings, cutover: 'hold' } });
  journal.accept(job);
  await run(job.deploymentId, { ...noSignals(), cancel: cancel.signal });
  const record = journal.job(job.deploymentId);
  assert.deepEqual([record?.state, record?.error?.evidence], ['cancelled', []]);
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

test('a cancel during the drain is too late: the step finishes and does not run again', async (t) => {
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

test('a target that has taken over stays live, even if its cutover is interrupted and then fails', async (t) => {
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

/** Leaves the journal as an agent does that has died this often in the middle of a step. */
function dieIn(journal: Journal, deploymentId: string, name: StepName, starts: number): void {
  const begun = { ...emptyStep(name, '2030-01-01T00:00:00.000Z'), starts };
  journal.record({ deploymentId, state: 'running', steps: [begun] });
}

test('a step in which the agent has died three times is not started again, and the deployment fails', async (t) => {
  for (const [starts, state] of [
    [2, 'live'],
    [3, 'failed'],
  ] as const) {
    const { journal, run, pipeline } = await bench(t);
    const job = deployJob();
    journal.accept(job);
    dieIn(journal, job.deploymentId, 'clone', starts);
    await run(job.deploymentId);
    assert.equal(journal.job(job.deploymentId)?.state, state);
    assert.equal(pipeline.calls.includes('run clone'), state === 'live');
    if (state === 'live') continue;
    const error = journal.job(job.deploymentId)?.error;
    assert.equal(error?.code, 'ORK_AGENT_DIED');
    assert.match(error.message, /died 3 times while the step clone ran/);
  }
});

test('a stop of the agent, as by an upgrade, does not count as a death in the step', async (t) => {
  let shutdown = new AbortController();
  const { journal, run } = await bench(t, {
    build: {
      async run({ signal }) {
        shutdown.abort(new OrkestrError('ORK_INTERRUPTED', 'stops'));
        signal.throwIfAborted();
        return undefined;
      },
    },
  });
  const job = deployJob();
  journal.accept(job);
  const starts = (): number | undefined => journal.steps(job.deploymentId).find(({ name }) => name === 'build')?.starts;
  for (let stops = 0; stops < 5; stops++) {
    shutdown = new AbortController();
    await run(job.deploymentId, { ...noSignals(), shutdown: shutdown.signal });
    assert.equal(starts(), 0);
  }
  assert.equal(journal.job(job.deploymentId)?.state, 'running');
});

test('a deployment whose agent dies repeatedly after the flip still goes forward', async (t) => {
  const { journal, run, pipeline } = await bench(t, {}, { hasFlipped: async () => true });
  const job = deployJob();
  journal.accept(job);
  for (const name of STEP_NAMES.slice(0, 5)) {
    const output = outputFor(name, { job });
    journal.record({ deploymentId: job.deploymentId, steps: [{ ...emptyStep(name, ''), state: 'done', output }] });
  }
  dieIn(journal, job.deploymentId, 'cutover', 7);
  await run(job.deploymentId);
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
  assert.ok(!pipeline.calls.some((call) => call.startsWith('undo')));
});

test('a cutover that fails after the flip, as the proxy reports, is retried and not undone', async (t) => {
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

test('while the proxy does not report whether it flipped, the runner neither undoes nor continues', async (t) => {
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

test('if finalize fails for good, the deployment fails but stays live, and nothing is undone', async (t) => {
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
  // Its environment variables are still needed to start it again.
  assert.equal(journal.payload(job.deploymentId).deploymentId, job.deploymentId);
});

test('a very long failure message after the flip stays within the limits of a report', async (t) => {
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

test('an output with the wrong shape fails the step that produced it, not a later one', async (t) => {
  const { journal, run, reports } = await bench(t, { build: { run: async () => ({ id: 'latest' }) } });
  const job = deployJob();
  journal.accept(job);
  await run(job.deploymentId);
  assert.ok(told(reports()).includes('build failed'));
});
