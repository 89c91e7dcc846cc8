import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { until } from '../../test/harness/until.ts';
import { hub, startTestHub } from '../test-hub.ts';
import { AT, COMMIT } from '../test-release.ts';
import type { ScriptedAgent } from '../agents/test-agent.ts';
import type { TestHub } from '../test-hub.ts';
import { DeploymentDetail } from '../api/schemas.ts';
import type { Job } from '../../protocol/job.ts';
import { makeSealer } from '../../protocol/sealing.ts';
import { changeVariables } from '../store/variables.ts';
import { LOST_MS, create, find, running } from './test-scheduler.ts';

const HOUR_MS = 3_600_000;

const statusOf = async (on: TestHub, id: string): Promise<string> => (await find(on, id)).status;

/** Connect the host and start a deployment on it. */
async function runs(on: TestHub): Promise<{ agent: ScriptedAgent; id: string; job: Job }> {
  const agent = await on.connect();
  const id = await create(on);
  const job = await agent.job();
  await agent.report(running(job));
  return { agent, id, job };
}

/** Disconnect the host and wait until the hub has noticed. */
async function leave(on: TestHub, agent: ScriptedAgent): Promise<void> {
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
}

test('a deployment for an offline host waits, says so, and is sent when the host connects', async (t) => {
  const on = await hub(t);
  const id = await create(on);
  const shown = (await (await on.api('GET', `/deployments/${id}`)).json()) as { status: string; waitingFor: string };
  assert.equal(shown.status, 'queued');
  assert.equal(shown.waitingFor, 'the host vps-1, which is offline');
  const agent = await on.connect();
  const job = await agent.job();
  assert.equal(job.deploymentId, id);
  assert.equal(job.generation, 1);
  assert.equal(job.hostId, on.hostId);
});

test('a deployment that waits on its host behind others says so, until it starts', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const { scheduler } = on.deps;
  const ids: string[] = [];
  for (const slug of ['a', 'b', 'c']) {
    const environmentId = await on.addEnvironment(slug, 'main');
    const ordered = { environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: null } as const;
    ids.push(await scheduler.create(ordered));
    on.pass(1000);
  }
  const waits = () =>
    Promise.all(
      ids.map(async (id) => {
        const shown = await (await on.api('GET', `/deployments/${id}`)).json();
        return (shown as { waitingFor?: string }).waitingFor;
      }),
    );
  const [first, second, third] = [await agent.job(), await agent.job(), await agent.job()];
  await agent.report(running(first));
  const turn = 'its turn on the host vps-1, which has 2 deployments before it';
  assert.deepEqual(await waits(), [undefined, undefined, turn]);
  await agent.report(running(second));
  assert.deepEqual(await waits(), [undefined, undefined, turn]);
  await agent.report(running(third));
  assert.deepEqual(await waits(), [undefined, undefined, undefined]);
});

test('a deployment that cannot start because a write fails stays queued and is sent later', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const { db, scheduler } = on.deps;
  await sql`create trigger full before update of sent_at on deployment begin select raise(abort, 'full'); end`.execute(
    db,
  );
  const id = await create(on);
  assert.equal((await find(on, id)).sent_at, null);
  await sql`drop trigger full`.execute(db);
  await scheduler.sweep();
  assert.equal((await agent.job()).deploymentId, id);
});

test('a newer push replaces waiting pushes, manual deployments all stay, and the order is that of creation', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const first = await create(on, 'push');
  const skipped = await create(on, 'push');
  const manual = await create(on, 'manual');
  const skippedToo = await create(on, 'push');
  const newest = await create(on, 'push');
  for (const id of [skipped, skippedToo]) {
    const row = await find(on, id);
    assert.equal(row.status, 'skipped');
    assert.ok(row.finished_at);
  }
  assert.equal((await find(on, skippedToo)).replaced_by, newest);
  assert.equal((await find(on, skipped)).replaced_by, skippedToo, 'what replaced it may be replaced itself');
  const order: string[] = [];
  for (let n = 0; n < 3; n += 1) {
    const job = await agent.job();
    order.push(job.deploymentId);
    await agent.live(job);
  }
  assert.deepEqual(order, [first, manual, newest]);
});

test('an unconfirmed job is sent again, with the variables of its first sending', async (t) => {
  const on = await hub(t);
  const set = (value: string) =>
    on.deps.db
      .transaction()
      .execute((trx) => changeVariables(trx, on.deps.sealer, on.environmentId, 'app', { KEY: value }, AT));
  await set('old');
  const first = await on.connect();
  const id = await create(on);
  const job = await first.job();
  await first.leave();
  await set('new');
  const second = await on.connect();
  const again = await second.job();
  assert.equal(again.deploymentId, id);
  assert.equal(again.generation, job.generation);
  assert.deepEqual(again.kind === 'deploy' && again.env, { KEY: 'old' });
  await second.report(running(again));
  await second.leave();
  const third = await on.connect({ running: [id] });
  await create(on);
  await third.report(running(again));
  assert.equal(third.jobs.length, 0, 'a host that has it is not sent it again');
});

test('a restarted hub continues where it was', async (t) => {
  const before = await startTestHub();
  const agent = await before.connect();
  const out = await create(before, 'manual');
  const job = await agent.job();
  await agent.report(running(job));
  const waiting = await create(before, 'manual');
  await before.stop(true);
  const on = await hub(t, { resume: before });
  const back = await on.connect({ running: [out] });
  assert.equal(back.acknowledged, 1);
  await back.live(job);
  assert.equal((await back.job()).deploymentId, waiting);
  assert.equal(await statusOf(on, out), 'live');
});

test('a host that is offline for too long loses its deployment, and a later report of it wins', async (t) => {
  const on = await hub(t);
  const { agent, id, job } = await runs(on);
  await leave(on, agent);
  on.pass(LOST_MS - 60_000);
  await on.deps.scheduler.sweep();
  assert.equal(await statusOf(on, id), 'running');
  on.pass(60_000);
  await on.deps.scheduler.sweep();
  const lost = await find(on, id);
  assert.equal(lost.status, 'failed');
  assert.match(lost.error ?? '', /ORK_HOST_LOST/);
  const back = await on.connect();
  await back.live(job);
  const found = await find(on, id);
  assert.equal(found.status, 'live');
  assert.equal(found.error, null);
});

test('neither a changed clock nor a suspended hub makes a deployment count as lost too early or too late', async (t) => {
  for (const setMs of [8 * HOUR_MS, -8 * HOUR_MS]) {
    const on = await hub(t);
    const { agent, id } = await runs(on);
    await leave(on, agent);
    on.setClock(setMs);
    await on.deps.scheduler.sweep();
    assert.equal(await statusOf(on, id), 'running');
    on.pass(LOST_MS - 60_000);
    await on.deps.scheduler.sweep();
    assert.equal(await statusOf(on, id), 'running');
    on.pass(60_000);
    await on.deps.scheduler.sweep();
    assert.equal(await statusOf(on, id), 'failed', `${setMs}`);
  }
});

test('a deployment that was taken for lost but still runs keeps its turn: nothing else is sent', async (t) => {
  const on = await hub(t);
  const { agent, id, job } = await runs(on);
  const next = await create(on);
  await leave(on, agent);
  on.pass(LOST_MS);
  await on.deps.scheduler.sweep();
  assert.equal(await statusOf(on, id), 'failed');
  const back = await on.connect({ running: [id] });
  await back.report(running(job));
  assert.equal(await statusOf(on, id), 'running');
  assert.equal(back.jobs.length, 0);
  await back.end(job, 'failed');
  assert.equal((await back.job()).deploymentId, next);
});

test('a job whose lease a connected host does not renew is sent again', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  await agent.job();
  on.pass(LOST_MS);
  await on.deps.scheduler.sweep();
  assert.equal((await agent.job()).deploymentId, id);
  assert.equal(await statusOf(on, id), 'queued');
});

test('cancel ends a waiting deployment at once and a running one through its host, and fails for an ended one', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const out = await create(on);
  const job = await agent.job();
  const waiting = await create(on);
  await on.deps.scheduler.cancel(waiting);
  assert.equal(await statusOf(on, waiting), 'cancelled');
  await on.deps.scheduler.cancel(out);
  assert.equal((await agent.next('cancel')).deploymentId, out);
  await agent.leave();
  const back = await on.connect({ running: [out] });
  assert.equal((await back.next('cancel')).deploymentId, out, 'said again to a host that may have missed it');
  await back.end(job, 'cancelled');
  assert.equal(await statusOf(on, out), 'cancelled');
  await assert.rejects(on.deps.scheduler.cancel(out), { code: 'ORK_CONFLICT' });
});

test('a deployment on an offline host can be given up: the next one follows, and the host gets the cancel on reconnect', async (t) => {
  const on = await hub(t);
  const { agent, id, job } = await runs(on);
  const next = await create(on);
  await assert.rejects(on.deps.scheduler.cancel(id, true), { code: 'ORK_CONFLICT' });
  assert.equal((await find(on, id)).cancel_requested, 0);
  await leave(on, agent);
  const path = `/deployments/${id}/cancel`;
  const asked = DeploymentDetail.parse(await (await on.api('POST', path, {})).json());
  assert.deepEqual(
    [asked.status, asked.cancelRequested, asked.waitingFor],
    ['running', true, 'the host vps-1, which is offline'],
  );
  const given = DeploymentDetail.parse(await (await on.api('POST', path, { giveUp: true })).json());
  assert.deepEqual([given.status, given.cancelRequested, given.error?.code], ['failed', false, 'ORK_HOST_LOST']);
  const back = await on.connect({ running: [id] });
  assert.equal((await back.next('cancel')).deploymentId, id);
  await back.end(job, 'cancelled');
  assert.equal(await statusOf(on, id), 'cancelled');
  assert.equal((await back.job()).deploymentId, next);
});

test('a deployment that was given up but is live after all is shown as live, not as cancelled', async (t) => {
  const on = await hub(t);
  const { agent, id, job } = await runs(on);
  await leave(on, agent);
  await on.deps.scheduler.cancel(id, true);
  assert.equal(await statusOf(on, id), 'failed');
  const back = await on.connect();
  await back.live(job);
  assert.equal(await statusOf(on, id), 'live');
});

test('a job that its host never confirmed is not sent again after it was given up', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  await agent.job();
  await leave(on, agent);
  await on.deps.scheduler.cancel(id, true);
  const next = await create(on);
  const back = await on.connect();
  assert.equal((await back.job()).deploymentId, next);
  assert.deepEqual(
    back.jobs.map(({ deploymentId }) => deploymentId),
    [next],
  );
});

test('a cancel that arrives before the job is sent is repeated after it', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const created = create(on);
  // The store has recorded the turn, but the job is not sent yet.
  const sent = () =>
    on.deps.db.selectFrom('deployment').select('id').where('sent_at', 'is not', null).executeTakeFirst();
  let out = await sent();
  while (out === undefined) out = await sent();
  assert.deepEqual(agent.jobs, []);
  await on.deps.scheduler.cancel(out.id);
  await created;
  await agent.job();
  assert.equal((await agent.next('cancel')).deploymentId, out.id);
});

test('an environment has a limited queue; pushes replace each other and are always accepted', async (t) => {
  const on = await hub(t);
  for (let n = 0; n < 50; n += 1) await create(on);
  await assert.rejects(create(on), { code: 'ORK_TOO_MANY_REQUESTS', message: /^50 deployments are already waiting/ });
  const push = await create(on, 'push');
  await create(on, 'push');
  assert.equal(await statusOf(on, push), 'skipped');
  const agent = await on.connect();
  await agent.live(await agent.job());
  await agent.job();
  await create(on);
});

test('an environment with unreadable settings does not block others on its host', async (t) => {
  const on = await hub(t);
  const other = await on.addEnvironment('staging', 'develop');
  const broken = await create(on);
  await on.deps.db.updateTable('environment').set({ settings: '{' }).where('id', '=', on.environmentId).execute();
  const waiting = await on.deps.scheduler.create({
    environmentId: other,
    trigger: 'manual',
    commit: COMMIT,
    branch: 'develop',
    userId: on.account.userId,
  });
  const agent = await on.connect();
  assert.equal((await agent.job()).deploymentId, waiting);
  assert.notEqual(await statusOf(on, broken), 'running');
});

test('a deployment whose variables cannot be decrypted fails with the reason, and the next one runs', async (t) => {
  const on = await hub(t);
  const { db, sealer } = on.deps;
  const set = (key: typeof sealer, value: string | null) =>
    db.transaction().execute((trx) => changeVariables(trx, key, on.environmentId, 'app', { KEY: value }, AT));
  await set(makeSealer(Buffer.alloc(32, 8)), 'sealed with a key that is lost');
  const broken = await create(on);
  const agent = await on.connect();
  await until(async () => (await find(on, broken)).status !== 'queued');
  const { status, error } = await find(on, broken);
  assert.equal(status, 'failed');
  assert.match(error ?? '', /ORK_CONFIG/);
  await set(sealer, 'set again');
  const next = await create(on);
  assert.equal((await agent.job()).deploymentId, next);
});
