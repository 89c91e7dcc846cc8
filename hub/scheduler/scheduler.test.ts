import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { sql } from 'kysely';
import type { Job } from '../../protocol/job.ts';
import { AT, COMMIT, startTestHub, type ScriptedAgent, type TestHub, until } from '../agents/test-hub.ts';
import { findDeployment } from '../store/deployments.ts';
import type { Trigger } from '../store/schema.ts';
import { putRegistry } from '../store/registries.ts';
import { changeVariables } from '../store/variables.ts';
import { GRACE_SECONDS, LEASE_SECONDS } from './lease.ts';

async function hub(t: TestContext, options: Parameters<typeof startTestHub>[0] = {}): Promise<TestHub> {
  const started = await startTestHub(options);
  t.after(() => started.stop());
  return started;
}

const create = (on: TestHub, trigger: Trigger = 'manual', rollback?: string): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger,
    commit: COMMIT,
    branch: 'main',
    userId: on.account.userId,
    ...(rollback === undefined ? {} : { rollback: { releaseOf: rollback, variables: 'current' } }),
  });

const find = async (on: TestHub, id: string) => {
  const row = await findDeployment(on.deps.db, id);
  assert.ok(row);
  return row;
};
const statusOf = async (on: TestHub, id: string): Promise<string> => (await find(on, id)).status;

const running = (job: Job) =>
  ({
    kind: 'deployment',
    deploymentId: job.deploymentId,
    generation: job.generation,
    status: 'running',
    at: AT,
  }) as const;

const LOST_MS = (LEASE_SECONDS + GRACE_SECONDS + 1) * 1000;

test('a deployment for an offline host waits, says so, and goes out when the host is there', async (t) => {
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

test('what cannot have its turn now, as the store takes nothing, is there all the same and has it later', async (t) => {
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

test('of the pushes that wait only the newest stays, manual ones stay all, and the order is that of creation', async (t) => {
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

test('a job whose receipt is not known is sent again, with the variables it was sent with first', async (t) => {
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

test('a hub that is stopped and started goes on where it was', async (t) => {
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

test('a host that is away too long loses its deployment, and the truth wins when it comes', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  const job = await agent.job();
  await agent.report(running(job));
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
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

test('one taken for lost that still runs keeps its place: nothing else is sent', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  const job = await agent.job();
  await agent.report(running(job));
  const next = await create(on);
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
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

test('a connected host that renews nothing is sent its job again', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await create(on);
  await agent.job();
  on.pass(LOST_MS);
  await on.deps.scheduler.sweep();
  assert.equal((await agent.job()).deploymentId, id);
  assert.equal(await statusOf(on, id), 'queued');
});

test('cancel ends what waits at once, what runs through its host, and nothing twice', async (t) => {
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

test('an environment goes from its host however long that is away', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await create(on);
  const job = await agent.job();
  await agent.live(job);
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  for (const attempt of ['first', 'again, since nothing was heard']) {
    const back = await on.connect();
    const removal = await back.job();
    assert.equal(removal.kind, 'remove', attempt);
    assert.ok(removal.generation > job.generation);
    assert.equal(removal.environment.id, on.environmentId);
    if (attempt === 'first') await back.end(removal, 'failed');
    else await back.end(removal, 'superseded');
    await back.leave();
  }
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
});

test('a host that could not remove an environment is asked again after a pause, while it stays connected', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  await create(on);
  await agent.live(await agent.job());
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  const removal = await agent.job();
  await agent.end(removal, 'failed');
  await on.deps.scheduler.sweep();
  on.pass(10 * 60_000);
  await on.deps.scheduler.sweep();
  await agent.end(await agent.job(), 'superseded');
  on.pass(10 * 60_000);
  await on.deps.scheduler.sweep();
  assert.deepEqual(
    agent.jobs.map(({ kind }) => kind),
    ['deploy', 'remove', 'remove'],
  );
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
});

test('what is deployed while its environment or project is deleted never goes out', async (t) => {
  for (const which of ['removeEnvironment', 'removeProject'] as const) {
    const on = await hub(t);
    const agent = await on.connect();
    await create(on);
    await agent.live(await agent.job());
    const removed = on.deps.scheduler[which](which === 'removeProject' ? on.projectId : on.environmentId);
    const late = create(on);
    await assert.rejects(late, { code: 'ORK_NOT_FOUND' });
    await removed;
    assert.equal((await agent.job()).kind, 'remove');
    assert.equal(agent.jobs.length, 2);
    assert.equal((await on.api('GET', '/projects/shop/environments/production')).status, 404);
  }
});

test('a project goes from the hosts of all its environments', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const staging = await on.addEnvironment('staging', 'main');
  for (const environmentId of [on.environmentId, staging]) {
    const { userId } = on.account;
    await on.deps.scheduler.create({ environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId });
    await agent.live(await agent.job());
  }
  assert.equal((await on.api('DELETE', '/projects/shop')).status, 204);
  const removals = [await agent.job(), await agent.job()];
  assert.deepEqual(
    removals.map(({ kind, environment }) => [kind, environment.id]),
    [on.environmentId, staging].map((id) => ['remove', id]),
  );
});

test('a cancel that comes while the job is made is said again after it', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const created = create(on);
  // Its turn is taken in the store, and the job is not on the wire yet.
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

test('so many wait in an environment and no more; pushes replace each other and are always taken', async (t) => {
  const on = await hub(t);
  for (let n = 0; n < 50; n += 1) await create(on);
  await assert.rejects(create(on), { code: 'ORK_TOO_MANY_REQUESTS', message: /^50 deployments wait/ });
  const push = await create(on, 'push');
  await create(on, 'push');
  assert.equal(await statusOf(on, push), 'skipped');
  const agent = await on.connect();
  await agent.live(await agent.job());
  await agent.job();
  await create(on);
});

test('an environment that was never sent anywhere leaves nothing to remove', async (t) => {
  const on = await hub(t);
  await create(on);
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
});

test('a deployment of which no job can be made fails by name, and the next one runs', async (t) => {
  const on = await hub(t);
  const bad = await create(on);
  const good = await create(on);
  await on.deps.db.updateTable('deployment').set({ kind: 'rollback' }).where('id', '=', bad).execute();
  const agent = await on.connect();
  assert.equal((await agent.job()).deploymentId, good);
  assert.match((await find(on, bad)).error ?? '', /ORK_CONFLICT/);
});

test('a rollback carries the release and the variables that were asked for', async (t) => {
  const on = await hub(t);
  const set = (value: string) =>
    on.deps.db
      .transaction()
      .execute((trx) => changeVariables(trx, on.deps.sealer, on.environmentId, 'app', { KEY: value }, AT));
  await set('then');
  const agent = await on.connect();
  const id = await create(on);
  await agent.live(await agent.job());
  await set('today');
  for (const [variables, value] of [
    ['current', 'today'],
    ['release', 'then'],
  ] as const) {
    const answer = await on.api('POST', `/deployments/${id}/rollback`, { variables });
    assert.equal(answer.status, 201);
    const job = await agent.job();
    assert.ok(job.kind === 'rollback');
    assert.equal(job.release.deploymentId, id);
    assert.deepEqual(job.env, { KEY: value });
    await agent.live(job);
  }
});

test('a job has the build secrets as they were when it was sent first, and the logins as they are', async (t) => {
  const on = await hub(t);
  const { db, sealer } = on.deps;
  const { project_id: projectId } = await db.selectFrom('environment').select('project_id').executeTakeFirstOrThrow();
  const set = async (value: string): Promise<void> => {
    const change = { NPM_TOKEN: value };
    await db.transaction().execute((trx) => changeVariables(trx, sealer, on.environmentId, 'build', change, AT));
    await putRegistry(db, sealer, projectId, { host: 'ghcr.io', username: 'ada', password: value }, AT);
  };
  await set('old');
  const first = await on.connect();
  await create(on);
  await first.job();
  await first.leave();
  await set('new');
  const job = await (await on.connect()).job();
  assert.ok(job.kind === 'deploy');
  assert.deepEqual([job.env, job.buildSecrets], [{}, { NPM_TOKEN: 'old' }]);
  assert.deepEqual(job.registries, [{ host: 'ghcr.io', username: 'ada', password: 'new' }]);
});

test('a rollback is refused by the plan, for what never went live, and for other teams', async (t) => {
  const on = await hub(t, { plan: 'free' });
  const id = await create(on);
  const answer = await on.api('POST', `/deployments/${id}/rollback`);
  assert.equal(answer.status, 403);
  const problem = (await answer.json()) as { code: string; detail: string };
  assert.equal(problem.code, 'ORK_PLAN_LIMIT');
  assert.match(problem.detail, /Free/);
  // What is live is no way back: the plan has nothing to say there, but this one has left no release.
  await on.deps.db.updateTable('deployment').set({ status: 'live' }).execute();
  assert.equal((await on.api('POST', `/deployments/${id}/rollback`)).status, 409);
  await on.deps.db.updateTable('deployment').set({ status: 'queued' }).execute();
  await on.deps.db.updateTable('team').set({ plan: 'pro' }).execute();
  assert.equal((await on.api('POST', `/deployments/${id}/rollback`)).status, 409);
  assert.equal((await on.api('POST', `/deployments/${randomUUIDv7()}/rollback`)).status, 404);
});

type Act =
  | { readonly do: 'create'; readonly trigger: Trigger }
  | { readonly do: 'end'; readonly status: 'live' | 'failed' }
  | { readonly do: 'start' | 'leave' | 'return' | 'lose' }
  | { readonly do: 'cancel'; readonly which: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('create' as const), trigger: fc.constantFrom('push', 'manual') }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), status: fc.constantFrom('live', 'failed') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('start', 'leave', 'return', 'lose') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(20) }) },
);

/** An agent as it should be: one deployment after the other, deduplicated by id, its journal kept while it is away. */
class ModelHost {
  readonly known = new Set<string>();
  readonly #on: TestHub;
  agent: ScriptedAgent | undefined;
  current: Job | undefined;

  constructor(on: TestHub) {
    this.#on = on;
  }

  /** Jobs that came and were not known; there may never be one while another runs. */
  take(): void {
    for (const job of this.agent?.jobs ?? []) {
      if (this.known.has(job.deploymentId)) continue;
      assert.equal(this.current, undefined, 'two at once');
      this.known.add(job.deploymentId);
      this.current = job;
    }
  }

  async perform(step: Act, created: string[]): Promise<void> {
    if (step.do === 'create') created.push(await create(this.#on, step.trigger));
    else if (step.do === 'cancel') await this.#cancel(created[step.which]);
    else if (step.do === 'end') await this.#end(step.status);
    else if (step.do === 'start') await (this.current && this.agent?.report(running(this.current)));
    else if (step.do === 'leave') await this.#leave();
    else if (this.agent === undefined) await (step.do === 'return' ? this.#return() : this.#lose());
  }

  async #cancel(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    await this.#on.deps.scheduler.cancel(id).catch((error: unknown) => {
      assert.match(String(error), /has ended already/);
    });
  }

  async #end(status: 'live' | 'failed'): Promise<void> {
    if (this.current === undefined || this.agent === undefined) return;
    if (status === 'live') await this.agent.live(this.current);
    else await this.agent.end(this.current, 'failed');
    this.current = undefined;
  }

  async #leave(): Promise<void> {
    await this.agent?.leave();
    this.agent = undefined;
    await until(() => !this.#on.deps.agents.isOnline(this.#on.hostId));
  }

  async #return(): Promise<void> {
    this.agent = await this.#on.connect({ running: this.current ? [this.current.deploymentId] : [] });
  }

  async #lose(): Promise<void> {
    this.#on.pass(LOST_MS);
    await this.#on.deps.scheduler.sweep();
  }

  /** What the hub put on the wire before this answer has been heard: it answers a renewal after it. */
  async hear(): Promise<void> {
    if (this.agent === undefined) return;
    await this.agent.report({ kind: 'log', deploymentId: randomUUIDv7(), step: 'clone', offset: 0, data: 'eA==' });
    this.take();
  }
}

test('whatever happens: one at a time, no manual one dropped, one push waiting, and all of it comes to an end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 25 }), async (acts) => {
      const on = await startTestHub();
      try {
        const host = new ModelHost(on);
        const created: string[] = [];
        for (const step of acts) {
          await host.perform(step, created);
          await host.hear();
          const open = await on.deps.db.selectFrom('deployment').selectAll().execute();
          const out = open.filter(({ status, sent_at }) => status === 'running' || (status === 'queued' && sent_at));
          assert.ok(out.length <= 1, 'one is out');
          const waiting = open.filter(
            ({ status, sent_at, trigger }) => status === 'queued' && !sent_at && trigger === 'push',
          );
          assert.ok(waiting.length <= 1, 'one push waits');
          assert.ok(open.every(({ trigger, status }) => trigger === 'push' || status !== 'skipped'));
        }
        // Let it come to an end: everything that was not skipped, cancelled or lost has run, in its order.
        await host.perform({ do: 'return' }, created);
        for (let n = 0; n <= created.length; n += 1) {
          await until(async () => {
            await host.hear();
            return host.current !== undefined || !(await hasOpen(on));
          });
          await host.perform({ do: 'end', status: 'live' }, created);
        }
        assert.equal(await hasOpen(on), false);
        const rows = await on.deps.db.selectFrom('deployment').selectAll().execute();
        for (const row of rows) {
          if (row.status === 'skipped') assert.ok(row.replaced_by);
          if (row.status === 'live') assert.ok(rows.every((other) => other === row || other.status !== 'live'));
        }
        assert.deepEqual(
          [...host.known],
          [...host.known].toSorted((a, b) => generation(rows, a) - generation(rows, b)),
        );
      } finally {
        await on.stop();
      }
    }),
    { numRuns: 25 },
  );
});

const generation = (rows: readonly { id: string; generation: number }[], id: string): number =>
  rows.find((row) => row.id === id)?.generation ?? 0;

const hasOpen = async (on: TestHub): Promise<boolean> =>
  (await on.deps.db.selectFrom('deployment').select('id').where('status', 'in', ['queued', 'running']).execute())
    .length > 0;

test('an environment whose settings cannot be read keeps no other one of its host from its turn', async (t) => {
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
