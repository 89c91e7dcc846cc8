import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Report } from '../../protocol/agent-link.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import { effectPath, pipelineOnDisk } from './test-crash-child.ts';
import { ALL_FAILPOINTS } from './failpoint.ts';
import type { FailpointName } from './failpoint.ts';
import { runDeployment } from './runner.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { noSignals, openTestJournal, runnerParts } from './test-bench.ts';
import { deployJob, IDS } from './test-job.ts';

const CHILD = join(import.meta.dirname, 'test-crash-child.ts');

/** The signal that killed a child process which ran the deployment up to the failpoint. */
async function runUntilKilled(folder: string, jobPath: string, failpoint: FailpointName, failing: string) {
  const child = spawn(process.execPath, [CHILD, folder, jobPath, failpoint, failing], { stdio: 'inherit' });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

interface End {
  readonly state: string | undefined;
  readonly live: string | undefined;
  readonly effects: string[];
  readonly reports: Report[];
  readonly log: (step: string) => string;
  readonly ledger: string[];
}

/** Kills at `failpoint`, resumes in this process as a restarted agent does, and returns what is there in the end. */
async function killAndResume(t: TestContext, failpoint: FailpointName, failing = 'none'): Promise<End> {
  const folder = join(temporaryFolder(t), failpoint.replace(':', '-'));
  mkdirSync(folder);
  const job = deployJob();
  const jobPath = join(folder, 'job.json');
  writeFileSync(jobPath, JSON.stringify(job));
  assert.deepEqual(await runUntilKilled(folder, jobPath, failpoint, failing), { code: null, signal: 'SIGKILL' });

  const journal = await openTestJournal(folder);
  try {
    assert.equal(journal.quarantined, null);
    assert.equal(journal.accept(job), 'known', 'the hub sends the job again');
    assert.ok(journal.unfinished().length <= 1);
    const parts = runnerParts({ folder, journal, pipeline: pipelineOnDisk(folder, failing) });
    for (const { deploymentId } of journal.unfinished()) await runDeployment(parts, deploymentId, noSignals());
    // Logs of steps that were not resumed may hold bytes that are not yet in the outbox.
    for (const step of STEP_NAMES) parts.logs.open(job.deploymentId, step, []).close();
    const rows = journal.outbox.after(0, 10_000);
    const ranges = new Map<string, number>();
    for (const row of rows) {
      if (row.kind !== 'log') continue;
      assert.equal(row.offset, ranges.get(row.step) ?? 0, `${row.step}: no byte of the log is lost or sent twice`);
      ranges.set(row.step, row.offset + row.length);
    }
    return {
      state: journal.job(job.deploymentId)?.state,
      live: journal.live(IDS.environment)?.deploymentId,
      effects: STEP_NAMES.filter((step) => existsSync(effectPath(folder, step))),
      reports: rows.flatMap((row) => (row.kind === 'report' ? [row.report] : [])),
      log: (step) => readFileSync(join(folder, 'logs', job.deploymentId, `${step}.log`), 'utf8'),
      ledger: readFileSync(join(folder, 'ledger'), 'utf8').trim().split('\n'),
    };
  } finally {
    journal.close();
  }
}

const finals = (reports: Report[]): string[] =>
  reports.flatMap((report) => (report.kind === 'deployment' && report.status !== 'running' ? [report.status] : []));

const onTheWay = ALL_FAILPOINTS.filter((point) => !point.endsWith(':undo'));

for (const failpoint of onTheWay) {
  test(`after a kill at ${failpoint} the next start completes the deployment and repeats no finished step`, async (t) => {
    const { state, live, effects, reports, ledger } = await killAndResume(t, failpoint);
    assert.equal(state, 'live');
    assert.ok(live);
    assert.deepEqual(effects, [...STEP_NAMES]);
    assert.deepEqual(finals(reports), ['live'], 'exactly one end is reported');
    assert.ok(!ledger.some((line) => line.startsWith('undo')));
    // Only the step that was killed before its result was stored may run a second time.
    const [step, point] = failpoint.split(':');
    for (const name of STEP_NAMES) {
      const runs = ledger.filter((line) => line === `run ${name}`).length;
      assert.equal(runs, name === step && point === 'acted' ? 2 : 1, name);
      const done = reports.filter((one) => one.kind === 'step' && one.step === name && one.status === 'done');
      assert.equal(done.length, 1, `${name} is reported done once`);
    }
  });
}

for (const step of ['clone', 'analyze', 'build', 'deploy', 'health', 'cutover'] as const) {
  test(`after a kill while undoing ${step} the next start undoes the rest and reports one failure`, async (t) => {
    const failing = step === 'cutover' ? 'cutover' : 'health';
    const { state, live, effects, reports, ledger } = await killAndResume(t, `${step}:undo`, failing);
    assert.equal(state, 'failed');
    assert.equal(live, undefined);
    assert.deepEqual(effects, []);
    assert.deepEqual(finals(reports), ['failed']);
    // Only the step whose undo record was lost in the crash is undone a second time.
    for (const name of STEP_NAMES.slice(0, STEP_NAMES.indexOf(failing) + 1)) {
      assert.equal(ledger.filter((line) => line === `undo ${name}`).length, name === step ? 2 : 1, name);
    }
    const end = reports.at(-1);
    assert.equal(end?.kind === 'deployment' && end.error?.code, 'ORK_UNHEALTHY', 'the cause outlives the crash');
  });
}
