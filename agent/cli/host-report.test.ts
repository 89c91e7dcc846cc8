import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Config } from '../config.ts';
import { runDeployment } from '../deployment/runner.ts';
import { noSignals, openTestJournal, runnerParts, scriptedPipeline } from '../deployment/test-bench.ts';
import { deployJob } from '../deployment/test-job.ts';
import { scripted } from '../deployment/test-ports.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import type { StatusReport } from '../local-api/status-report.ts';
import { hostReport } from './host-report.ts';

/** The report of a host on which nothing runs. */
const reportOf = (stateFolder: string): Promise<StatusReport> => {
  const nowhere = join(stateFolder, 'nowhere');
  const sockets = { agentSocket: nowhere, proxySocket: nowhere, dockerSocket: nowhere };
  return hostReport(scripted<Config>('config', { ...sockets, stateFolder, sandboxFolder: nowhere }));
};

test('without an agent, the last deployments and the waiting reports are read from its journal', async (t) => {
  const folder = temporaryFolder(t);
  const key = Buffer.alloc(32, 7).toString('base64'); // that of a test's journal
  writeFileSync(join(folder, 'secret.key'), key);
  const journal = await openTestJournal(folder);
  const deployed = deployJob();
  journal.accept(deployed);
  await runDeployment(
    runnerParts({ folder, journal, pipeline: scriptedPipeline() }),
    deployed.deploymentId,
    noSignals(),
  );
  journal.accept(deployJob({ generation: 2 }));
  const waiting = journal.outbox.size();
  journal.close();

  const { checks } = await reportOf(folder);
  const { summary, details = [] } = checks['deployments'] ?? {};
  assert.equal(summary, 'no agent answers; its journal has 0 begun, 1 waiting');
  assert.equal(details[0], 'not begun  shop/production  deploy: queued');
  assert.match(details[1] ?? '', /^\d{4}-\d\d-\d\dT\S+Z {2}shop\/production {2}deploy: live$/);
  assert.equal(
    checks['outbox']?.summary,
    `no agent answers; in its journal, ${waiting} reports are waiting for the hub`,
  );
  assert.equal(checks['outbox']?.data['waiting'], waiting);
});

test('without an agent and without a readable journal, they are unknown', async (t) => {
  const folder = temporaryFolder(t);
  const summaries = async (): Promise<unknown[]> => {
    const { checks } = await reportOf(folder);
    return ['deployments', 'outbox', 'apps'].map((name) => checks[name]?.summary);
  };
  const unknown = Array.from({ length: 3 }, () => 'unknown: no agent answers');
  assert.deepEqual(await summaries(), unknown);
  writeFileSync(join(folder, 'journal.sqlite'), Buffer.alloc(8192, 'not a database '));
  assert.deepEqual(await summaries(), unknown);
});
