import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSealer } from '../../protocol/sealing.ts';
import { runDeployment } from '../deployment/runner.ts';
import type { Identity } from '../identity/identity.ts';
import { openJournal } from '../journal/journal.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { noSignals, openTestJournal, runnerParts, scriptedPipeline } from '../deployment/test-bench.ts';
import { deployJob, IDS } from '../deployment/test-job.ts';
import { agentView, namesOf } from './agent-view.ts';

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
  const { recent } = agentView({ version: '1.0.0', identity, journal, since: new Date(0).toISOString(), link: null });
  assert.deepEqual(
    recent.map(({ environment, state }) => [environment, state]),
    [[IDS.environment, 'live']],
  );
});
