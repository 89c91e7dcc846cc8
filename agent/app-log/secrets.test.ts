import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Docker from 'dockerode';
import type { Engine } from '../lib/engine.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { openTestJournal } from '../deployment/test-bench.ts';
import { deployJob } from '../deployment/test-job.ts';
import { secretsOfVersion } from './secrets.ts';

/** An engine with one container that has this environment. */
const engineWith = (...env: string[]): Engine => ({
  socketPath: '/nowhere',
  call: (_what, work) =>
    work(
      { getContainer: () => ({ inspect: async () => ({ Config: { Env: env } }) }) } as unknown as Docker,
      new AbortController().signal,
    ),
});

test('the secrets of a log are those of its job; without the job, all values in the container’s environment', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const job = deployJob({ env: { TOKEN: 'of-the-job' } });
  journal.accept(job);
  const engine = engineWith('TOKEN=of-the=container', 'EMPTY=');
  const known = await secretsOfVersion(engine, journal, job.deploymentId);
  assert.ok(known.includes('of-the-job') && !known.includes('of-the=container'));
  const lost = await secretsOfVersion(engine, journal, deployJob().deploymentId);
  assert.ok(lost.includes('of-the=container'), lost.join(' '));
});
