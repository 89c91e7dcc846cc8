import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import type { Report } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { findDeployment } from '../store/deployments.ts';
import { listEvents } from '../store/events.ts';
import { findHostById } from '../store/hosts.ts';
import { listLoggedSteps, LOG_CAP_BYTES, readLog } from '../store/logs.ts';
import { findRelease } from '../store/releases.ts';
import { listSteps } from '../store/steps.ts';
import { hub, type TestHub } from '../test-hub.ts';
import { AT, COMMIT, exampleRelease } from '../test-release.ts';

const deploy = (on: TestHub, trigger: 'push' | 'manual' = 'manual'): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger,
    commit: COMMIT,
    branch: 'main',
    userId: on.account.userId,
  });

const statusOf = async (on: TestHub, id: string): Promise<string | undefined> =>
  (await findDeployment(on.deps.db, id))?.status;

const log = (deploymentId: string, offset: number, text: string): Report => ({
  kind: 'log',
  deploymentId,
  step: 'build',
  offset,
  data: Buffer.from(text).toString('base64'),
});

async function logText(on: TestHub, id: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of readLog(on.deps.db, id, 'build')) parts.push(part);
  return Buffer.concat(parts).toString();
}

test('reports become status, steps, log and release', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const job = await agent.job();
  await agent.report({ kind: 'step', deploymentId: id, step: 'clone', status: 'running', startedAt: AT, ms: null });
  assert.equal(await statusOf(on, id), 'running');
  const output = { commit: COMMIT, subject: 's', author: 'a', files: 1, bytes: 2 };
  await agent.report({ kind: 'step', deploymentId: id, step: 'clone', status: 'done', startedAt: AT, ms: 5, output });
  await agent.report({
    kind: 'step',
    deploymentId: id,
    step: 'analyze',
    status: 'done',
    startedAt: AT,
    ms: 5,
    output: { nonsense: true },
  });
  await agent.report(log(id, 0, 'hello '));
  await agent.report(log(id, 6, 'world'));
  await agent.live(job);
  assert.equal(await statusOf(on, id), 'live');
  const [clone, analyze] = await listSteps(on.deps.db, id);
  assert.deepEqual(clone?.output, output);
  assert.equal(analyze?.output, null, 'an output of another shape is not stored');
  assert.equal(await logText(on, id), 'hello world');
  assert.deepEqual(await findRelease(on.deps.db, id), exampleRelease(id));
});

test('replayed reports change nothing, and a gap in the sequence is refused', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const job = await agent.job();
  await agent.report(log(id, 0, 'once'));
  await agent.live(job);
  const events = await listEvents(on.deps.db, id, 0, 100);
  const replay: Report[] = [
    log(id, 0, 'twice'),
    { kind: 'deployment', deploymentId: id, generation: job.generation, status: 'failed', at: AT },
  ];
  for (const [index, report] of replay.entries()) agent.say({ type: 'report', sequence: index + 1, report });
  await agent.report(log(id, 4, '!')); // sequence 4: handled after the replayed ones
  assert.equal(await logText(on, id), 'once!');
  assert.equal(await statusOf(on, id), 'live');
  assert.equal((await listEvents(on.deps.db, id, 0, 100)).length, events.length + 1);

  agent.say({ type: 'report', sequence: 9, report: log(id, 5, '?') });
  assert.equal((await agent.next('error')).code, 'ORK_PROTOCOL');
  assert.equal(await agent.closed, 1008);
  const again = await on.connect();
  assert.equal(again.acknowledged, 4);
});

test('an unreadable report is acknowledged, and the reports after it are stored', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  const strange = { kind: 'step', deploymentId: id, step: 'of tomorrow', status: 'done', startedAt: AT, ms: 1 };
  agent.socket.send(JSON.stringify({ type: 'report', sequence: 1, report: strange }));
  agent.say({ type: 'report', sequence: 2, report: log(id, 0, 'stored') });
  const error: ErrorReport = { code: 'ORK_INTERNAL', message: 'x'.repeat(4001), evidence: [] };
  const end: Report = { kind: 'deployment', deploymentId: id, generation: 1, status: 'failed', at: AT, error };
  agent.say({ type: 'report', sequence: 3, report: end });
  await agent.stored(3);
  assert.equal(await logText(on, id), 'stored');
  assert.equal(await statusOf(on, id), 'failed', 'what can be read of a report counts');
});

test('reports about unknown or unsent deployments or another generation are acknowledged and change nothing', async (t) => {
  const on = await hub(t);
  const waiting = await deploy(on); // offline: never sent
  const agent = await on.connect();
  const job = await agent.job();
  assert.equal(job.deploymentId, waiting);
  const second = await deploy(on);
  const stale = { ...job, deploymentId: second };
  await agent.end({ ...job, generation: 77 }, 'failed');
  await agent.end({ ...job, deploymentId: randomUUIDv7() }, 'failed');
  await agent.report(log(randomUUIDv7(), 0, 'foreign'));
  await agent.end(stale, 'failed');
  assert.equal(agent.acknowledged, 4);
  assert.equal(await statusOf(on, waiting), 'queued');
  assert.equal(await statusOf(on, second), 'queued');
});

test('a job that a host refuses as stale is sent again with a higher generation, ahead of the queue', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const [first, second] = [await deploy(on), await deploy(on)];
  const job = await agent.job();
  const stale: Report = {
    kind: 'deployment',
    deploymentId: first,
    generation: 1,
    status: 'failed',
    at: AT,
    error: { code: 'ORK_GENERATION_STALE', message: 'So it is.', evidence: [] },
  };
  await agent.report({ ...stale, newest: 7 });
  await agent.report({ ...stale, newest: 7 }); // of the same job, delivered twice
  const again = await agent.job();
  assert.deepEqual([again.deploymentId, again.generation], [job.deploymentId, 8]);
  await agent.live(again);
  const next = await agent.job();
  assert.deepEqual([next.deploymentId, next.generation], [second, 9]);
  await agent.report({ ...stale, deploymentId: second, generation: 9 });
  assert.equal(await statusOf(on, second), 'failed', 'a host that does not tell its newest');
  const third = await deploy(on);
  const begun = { ...stale, deploymentId: third, generation: 10 };
  assert.equal((await agent.job()).generation, 10);
  await agent.report({ kind: 'deployment', deploymentId: third, generation: 10, status: 'running', at: AT });
  await agent.report({ ...begun, newest: 20 });
  assert.equal(await statusOf(on, third), 'failed', 'what was begun is not run a second time');
  const fourth = await deploy(on);
  await agent.report({ ...begun, deploymentId: fourth, generation: 11, newest: Number.MAX_SAFE_INTEGER });
  assert.equal(await statusOf(on, fourth), 'failed', 'a number that nobody could count on from');
  assert.equal((await findDeployment(on.deps.db, await deploy(on)))?.generation, 12);
});

test('a later live deployment supersedes the previous one', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const first = await deploy(on);
  await agent.live(await agent.job());
  const second = await deploy(on);
  await agent.live(await agent.job());
  assert.equal(await statusOf(on, first), 'superseded');
  assert.equal(await statusOf(on, second), 'live');
  await agent.report({ kind: 'deployment', deploymentId: second, generation: 2, status: 'failed', at: AT });
  assert.equal(await statusOf(on, second), 'live', 'an end is final');
});

test('a deployment ends even when its host reports ORK_HOST_LOST itself, which is not taken as a loss', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const job = await agent.job();
  const said = { kind: 'deployment', deploymentId: id, generation: job.generation, at: AT } as const;
  const error = { code: 'ORK_HOST_LOST', message: 'away', evidence: ['ORK_HOST_LOST'] } as const;
  await agent.report({ ...said, status: 'failed', error: { ...error, evidence: [...error.evidence] } });
  await agent.report({ ...said, status: 'running' });
  const ended = await findDeployment(on.deps.db, id);
  assert.equal(ended?.status, 'failed');
  assert.match(ended?.error ?? '', /"code":"ORK_CODE_UNKNOWN"/);
});

test('the log of a deployment is cut at its cap with a marker', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  await agent.report(log(id, 0, 'start'));
  await on.deps.db
    .updateTable('deployment')
    .set({ log_bytes: LOG_CAP_BYTES - 256 })
    .where('id', '=', id)
    .execute();
  await agent.report(log(id, 5, 'abc'));
  await agent.report(log(id, 8, 'more'));
  await agent.report(log(id, 12, 'and more'));
  assert.equal(await logText(on, id), 'startabc\n[orkestr: the log was cut here because it reached 16 MiB]\n');
  assert.deepEqual(await listLoggedSteps(on.deps.db, id), ['build']);
});

test('a flood of reports is stored completely and in order', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  const count = 1500;
  for (let n = 0; n < count; n += 1) {
    agent.say({ type: 'report', sequence: n + 1, report: log(id, n * 4, String(n).padStart(4, '0')) });
  }
  await agent.stored(count);
  assert.equal(await logText(on, id), Array.from({ length: count }, (_, n) => String(n).padStart(4, '0')).join(''));
});

test('leases are renewed only for deployments that run on that host, and the status of the host is stored', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  agent.say({ type: 'renew', deploymentIds: [randomUUIDv7(), id] });
  assert.equal((await agent.next('lease')).deploymentId, id);
  await agent.beat();
  assert.match((await findHostById(on.deps.db, on.hostId))?.status ?? '', /"engine"/);
});
