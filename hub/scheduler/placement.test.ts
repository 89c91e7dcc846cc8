/** Which hosts a deployment of a background worker may go to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Settings } from '../../protocol/job.ts';
import { OLDEST_PROTOCOL } from '../../protocol/versions.ts';
import { hub } from '../test-hub.ts';
import type { TestHub } from '../test-hub.ts';
import { create, find } from './test-scheduler.ts';

const makeWorker = (on: TestHub): Promise<unknown> =>
  on.deps.db
    .updateTable('environment')
    .set({ settings: JSON.stringify(Settings.parse({ healthCheck: { kind: 'running' } })) })
    .where('id', '=', on.environmentId)
    .execute();

test('a worker goes to a host that knows workers, with its health check and without domains', async (t) => {
  const on = await hub(t);
  await makeWorker(on);
  const agent = await on.connect();
  await create(on);
  const job = await agent.job();
  assert.ok(job.kind === 'deploy');
  assert.deepEqual([job.settings.healthCheck, job.settings.domains], [{ kind: 'running', runSeconds: 10 }, []]);
});

test('a worker is not sent to a host whose agent is too old, and fails with what to do', async (t) => {
  const on = await hub(t);
  const agent = await on.connect({ protocol: OLDEST_PROTOCOL });
  const web = await create(on);
  await agent.live(await agent.job());
  assert.equal((await find(on, web)).status, 'live', 'An app with a port goes there as before.');
  await makeWorker(on);
  const id = await create(on);
  const { status, sent_at, error } = await find(on, id);
  assert.deepEqual([status, sent_at], ['failed', null]);
  assert.match(error ?? '', /"ORK_PROTOCOL_AGENT_OLD".*vps-1 \(version 0\.1\.0\).*orkestr hosts upgrade vps-1/);
  assert.equal(agent.jobs.length, 1);
});
