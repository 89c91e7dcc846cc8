import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DownApp } from '../../protocol/agent-link.ts';
import { makeSealer } from '../../protocol/sealing.ts';
import { runDeployment } from '../deployment/runner.ts';
import type { Identity } from '../identity/identity.ts';
import { openJournal } from '../journal/journal.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { noSignals, openTestJournal, runnerParts, scriptedPipeline } from '../deployment/test-bench.ts';
import { deployJob, IDS } from '../deployment/test-job.ts';
import { agentView, namesOf } from './agent-view.ts';

const AT = new Date(0).toISOString();
const ABOUT = { version: '1.0.0', since: AT, link: null };

test('the agent view lists a job that is unreadable without its key by the id of its environment', async (t) => {
  const folder = temporaryFolder(t);
  const before = await openTestJournal(folder);
  const job = deployJob();
  before.accept(job);
  const parts = runnerParts({ folder, journal: before, pipeline: scriptedPipeline() });
  await runDeployment(parts, job.deploymentId, noSignals());
  assert.deepEqual([...namesOf(before)], [[IDS.environment, 'shop/production']]);
  before.close();

  const sealer = makeSealer(Buffer.alloc(32, 9));
  const journal = await openJournal({ stateFolder: folder, sealer, log: silent, now: Date.now });
  t.after(() => journal.close());
  const identity = { hostId: IDS.host, hub: null } as Identity;
  const { recent } = agentView({ ...ABOUT, identity, journal, downApps: null });
  assert.deepEqual(
    recent.map(({ environment, state }) => [environment, state]),
    [[IDS.environment, 'live']],
  );
});

test('the agent view names the live apps that are down, and says nothing before it knows', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  await runDeployment(runnerParts({ folder, journal, pipeline: scriptedPipeline() }), job.deploymentId, noSignals());
  const error = { code: 'ORK_APP_EXITED' as const, message: 'The app exited with code 1.', evidence: [] };
  const ids = { environmentId: IDS.environment, deploymentId: job.deploymentId };
  const down = { ...ids, since: AT, exitCode: 1, restarts: 14, error };
  const view = (downApps: readonly DownApp[] | null) =>
    agentView({ ...ABOUT, identity: { hostId: IDS.host, hub: null } as Identity, journal, downApps });
  assert.deepEqual(view([down]).downApps, [
    {
      environment: 'shop/production',
      deploymentId: job.deploymentId,
      since: AT,
      restarts: 14,
      errorCode: 'ORK_APP_EXITED',
      message: 'The app exited with code 1.',
    },
  ]);
  assert.equal('downApps' in view(null), false);
});
