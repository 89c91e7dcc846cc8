/** Deployments of hosts that do not build: a build job on one host, then a serve job on the other. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import type { ErrorReport } from '../../protocol/errors.ts';
import { Settings, type Job } from '../../protocol/job.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import type { StepName, StepOutputs } from '../../protocol/steps.ts';
import { until } from '../../test/harness/until.ts';
import { ScriptedAgent } from '../agents/test-agent.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { AT, COMMIT, exampleRelease } from '../test-release.ts';
import { findDeployment } from '../store/deployments.ts';
import { insertHost, setBuilds } from '../store/hosts.ts';
import { findRelease } from '../store/releases.ts';
import { changeVariables } from '../store/variables.ts';
import { GRACE_SECONDS, LEASE_SECONDS } from './lease.ts';

const REGISTRY = 'registry.example:5000/team/shop';
const REFERENCE = `${REGISTRY}@sha256:${'a'.repeat(64)}`;
const LOST_MS = (LEASE_SECONDS + GRACE_SECONDS + 1) * 1000;

interface Builder {
  readonly id: string;
  connect(running?: readonly string[]): Promise<ScriptedAgent>;
}

/** A hub whose first host does not build, and another host that does. */
async function hub(
  t: TestContext,
  settings: Partial<Settings> = { registry: REGISTRY },
): Promise<{ on: TestHub; builder: Builder; addBuilder: (name: string) => Promise<Builder> }> {
  const on = await startTestHub({ plan: 'pro' });
  const agents: ScriptedAgent[] = [];
  t.after(async () => {
    for (const agent of agents) agent.socket.terminate();
    await on.stop();
  });
  const addBuilder = async (name: string): Promise<Builder> => {
    const [id, key] = [randomUUIDv7(), makeKeyPair()];
    const team_id = on.account.teamId;
    await insertHost(on.deps.db, { id, team_id, name, public_key: key.publicKey, acknowledged: 0, created_at: AT });
    return {
      id,
      async connect(running = []) {
        const agent = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
        agents.push(agent);
        await agent.shakeHands(id, key, { running });
        return agent;
      },
    };
  };
  await setBuilds(on.deps.db, on.hostId, false);
  await on.deps.db
    .updateTable('environment')
    .set({ settings: JSON.stringify(Settings.parse({ domains: [{ host: 'production.example.com' }], ...settings })) })
    .where('id', '=', on.environmentId)
    .execute();
  return { on, addBuilder, builder: await addBuilder('builder-1') };
}

const create = (on: TestHub, rollback?: string): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: rollback === undefined ? 'manual' : 'rollback',
    commit: COMMIT,
    branch: 'main',
    userId: on.account.userId,
    ...(rollback === undefined ? {} : { rollback: { releaseOf: rollback, variables: 'current' } }),
  });

const show = async (on: TestHub, id: string) =>
  (await (await on.api('GET', `/deployments/${id}`)).json()) as {
    status: string;
    waitingFor?: string;
    error: { code: string; message: string } | null;
    steps: { name: string; status: string; note: string | null }[];
  };
const statusOf = async (on: TestHub, id: string): Promise<string> => (await show(on, id)).status;

const tell = async (agent: ScriptedAgent, job: Job, status: 'running' | 'built'): Promise<void> => {
  const { deploymentId, generation } = job;
  await agent.report({ kind: 'deployment', deploymentId, generation, status, at: AT });
};

async function done<N extends StepName>(
  agent: ScriptedAgent,
  job: Job,
  step: N,
  output: StepOutputs[N],
): Promise<void> {
  const { deploymentId } = job;
  await agent.report({ kind: 'step', deploymentId, step, status: 'done', startedAt: AT, ms: 1, output });
}

/** What a building host reports about a build job, except for its end. */
async function build(agent: ScriptedAgent, job: Job): Promise<void> {
  const { plan, image } = exampleRelease(job.deploymentId);
  await tell(agent, job, 'running');
  await done(agent, job, 'clone', { commit: COMMIT, subject: 'First', author: 'Ada', files: 1, bytes: 1 });
  await done(agent, job, 'analyze', plan);
  await done(agent, job, 'build', { ...image, registryReference: REFERENCE });
}

/** App variables that the build also reads: the port, and those that are public in the browser. */
const ITS_BUILD = { PORT: '4000', VITE_API_URL: 'https://api.example.com' };

test('the build host gets a build job, the serving host gets its image, and it stays one deployment', async (t) => {
  const { on, builder } = await hub(t);
  const { db, sealer } = on.deps;
  await changeVariables(db, sealer, on.environmentId, 'app', { ...ITS_BUILD, KEY: 'of the app' }, AT);
  await changeVariables(db, sealer, on.environmentId, 'build', { NPM_TOKEN: 'of the build' }, AT);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const first = await building.job();
  assert.ok(first.kind === 'build');
  assert.deepEqual([first.deploymentId, first.hostId], [id, builder.id]);
  assert.deepEqual([first.env, first.buildSecrets], [ITS_BUILD, { NPM_TOKEN: 'of the build' }]);
  assert.ok(first.source.auth);
  assert.deepEqual(first.notices, ['builder-1 builds it for vps-1']);
  await build(building, first);
  assert.equal(await statusOf(on, id), 'running');
  assert.deepEqual(serving.jobs, []);
  await tell(building, first, 'built');
  const second = await serving.job();
  assert.ok(second.kind === 'serve');
  assert.deepEqual([second.deploymentId, second.hostId, second.generation], [id, on.hostId, first.generation]);
  assert.equal(second.built.image.registryReference, REFERENCE);
  assert.deepEqual(second.env, { ...ITS_BUILD, KEY: 'of the app' });
  assert.deepEqual([second.buildSecrets, second.source.auth], [{}, undefined]);
  await serving.live(second);
  const shown = await show(on, id);
  assert.equal(shown.status, 'live');
  assert.deepEqual(
    shown.steps.map(({ name, status }) => [name, status]),
    [
      ['clone', 'done'],
      ['analyze', 'done'],
      ['build', 'done'],
    ],
  );
});

/** A host refuses a job as stale because it has seen generations up to 7. */
const refuseAsStale = (agent: ScriptedAgent, { deploymentId, generation }: Job): Promise<void> =>
  agent.report({
    kind: 'deployment',
    deploymentId,
    generation,
    newest: 7,
    status: 'failed',
    at: AT,
    error: { code: 'ORK_GENERATION_STALE', message: 'So it is.', evidence: [] },
  });

test('a serving host that knows newer generations, after a restore of the hub, gets the job with a higher one', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await tell(building, job, 'built');
  await refuseAsStale(serving, await serving.job());
  const again = await serving.job();
  assert.deepEqual([again.kind, again.deploymentId, again.generation], ['serve', id, 8]);
  await serving.live(again);
  assert.equal(await statusOf(on, id), 'live');
  assert.equal(building.jobs.length, 1);
});

test('a job that the serving host has started is not sent again, even if the host reports it as stale', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await tell(building, job, 'built');
  const second = await serving.job();
  await serving.report({ kind: 'step', deploymentId: id, step: 'deploy', status: 'running', startedAt: AT, ms: null });
  await refuseAsStale(serving, second);
  const { status, error } = await show(on, id);
  assert.deepEqual([status, error?.code], ['failed', 'ORK_GENERATION_STALE']);
});

test('reports of the build host are ignored once the serving host has the job', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await tell(building, job, 'built');
  await serving.job();
  await building.end(job, 'failed');
  assert.equal(await statusOf(on, id), 'running');
});

test('a host that only builds cannot report a deployment as live', async (t) => {
  const { on, builder } = await hub(t);
  await on.connect();
  const building = await builder.connect();
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await building.live(job);
  assert.equal(await statusOf(on, id), 'running');
  assert.equal(await findRelease(on.deps.db, id), null);
});

test('a deployment waits until both hosts are online, and says which one it waits for', async (t) => {
  const { on, builder } = await hub(t);
  const id = await create(on);
  assert.equal((await show(on, id)).waitingFor, 'the host vps-1, which is offline');
  await on.connect();
  assert.equal((await show(on, id)).waitingFor, 'a host that builds: builder-1, which is offline');
  const building = await builder.connect();
  assert.equal((await building.job()).deploymentId, id);
});

test('without a registry or without a build host, a deployment fails and says what to set', async (t) => {
  const { on, builder } = await hub(t, {});
  await on.connect();
  const first = await show(on, await create(on));
  assert.deepEqual([first.status, first.error?.code], ['failed', 'ORK_BUILD_NOWHERE']);
  assert.match(first.error?.message ?? '', /vps-1 is built on another host and needs a registry/);
  await setBuilds(on.deps.db, builder.id, false);
  await on.api('PATCH', '/projects/shop/environments/production', { settings: { registry: REGISTRY } });
  const second = await show(on, await create(on));
  assert.equal(second.error?.code, 'ORK_BUILD_NOWHERE');
  assert.match(second.error?.message ?? '', /no host beside vps-1 that builds/);
});

test('the least busy build host gets the build, unless the environment names one', async (t) => {
  const { on, builder, addBuilder } = await hub(t);
  const other = await addBuilder('builder-2');
  const environmentId = await on.addEnvironment('staging', 'main');
  await on.api('PATCH', '/projects/shop/environments/staging', { settings: { registry: REGISTRY } });
  const [, one, two] = [await on.connect(), await builder.connect(), await other.connect()];
  await create(on);
  await one.job();
  await on.deps.scheduler.create({ environmentId, trigger: 'manual', commit: COMMIT, branch: 'main', userId: null });
  assert.equal((await two.job()).environment.slug, 'staging');
  const named = await on.addEnvironment('named', 'main');
  const settings = { registry: REGISTRY, buildHost: 'builder-2' };
  await on.api('PATCH', '/projects/shop/environments/named', { settings });
  await on.deps.scheduler.create({
    environmentId: named,
    trigger: 'manual',
    commit: COMMIT,
    branch: 'main',
    userId: null,
  });
  assert.equal((await two.job()).environment.slug, 'named');
});

test('a cancel goes to the host that has the job; a cancel at the end of the build stops the deployment there', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await on.deps.scheduler.cancel(id);
  assert.equal((await building.next('cancel')).deploymentId, id);
  await tell(building, job, 'built');
  await until(async () => (await statusOf(on, id)) === 'cancelled');
  assert.deepEqual(serving.jobs, []);
  const next = await create(on);
  assert.equal((await building.job()).deploymentId, next, 'the next one has its turn');
});

test('a serving host that was offline when the build ended gets the job on its next connection', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await serving.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
  await tell(building, job, 'built');
  const again = await on.connect();
  const second = await again.job();
  assert.deepEqual([second.kind, second.deploymentId], ['serve', id]);
});

test('a lost build host fails the deployment; if it returns with the build, that is not served', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const job = await building.job();
  await build(building, job);
  await building.leave();
  await until(() => !on.deps.agents.isOnline(builder.id));
  on.pass(LOST_MS);
  await on.deps.scheduler.sweep();
  const lost = await show(on, id);
  assert.deepEqual([lost.status, lost.error?.code], ['failed', 'ORK_HOST_LOST']);
  const back = await builder.connect();
  await tell(back, job, 'built');
  assert.equal(await statusOf(on, id), 'failed');
  assert.deepEqual(serving.jobs, []);
});

test('a host cannot be removed while it builds for another host, and can once the build ends', async (t) => {
  const { on, builder } = await hub(t);
  await on.connect();
  const building = await builder.connect();
  const id = await create(on);
  const job = await building.job();
  const refused = await on.api('DELETE', `/hosts/${builder.id}`);
  assert.equal(refused.status, 409);
  assert.match(((await refused.json()) as { detail: string }).detail, new RegExp(`is building a deployment .*${id}`));
  const { deploymentId, generation } = job;
  const error: ErrorReport = { code: 'ORK_CANCELLED', message: 'It was cancelled.', evidence: [] };
  await building.report({ kind: 'deployment', deploymentId, generation, status: 'cancelled', at: AT, error });
  await until(async () => (await statusOf(on, id)) === 'cancelled');
  assert.equal((await on.api('DELETE', `/hosts/${builder.id}`)).status, 204);
});

test('a rollback goes only to the serving host, as a serve job with the image of its release', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  const first = await building.job();
  await build(building, first);
  await tell(building, first, 'built');
  const release = exampleRelease(id);
  await serving.live(await serving.job(), {
    ...release,
    image: { ...release.image, registryReference: REFERENCE },
    foundPort: 3000,
  });
  const back = await create(on, id);
  const job = await serving.job();
  assert.ok(job.kind === 'serve');
  assert.deepEqual([job.deploymentId, job.built.releaseOf, job.built.foundPort], [back, id, 3000]);
  assert.equal((await findDeployment(on.deps.db, back))?.build_host_id, null);
  assert.equal(building.jobs.length, 1);
});

test('deleting an environment during its build cancels the build on the build host', async (t) => {
  const { on, builder } = await hub(t);
  const [serving, building] = [await on.connect(), await builder.connect()];
  const id = await create(on);
  await building.job();
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  assert.equal((await building.next('cancel')).deploymentId, id);
  assert.equal((await serving.job()).kind, 'remove');
  assert.equal((await building.job()).kind, 'remove');
});

test('a deleted environment is removed from its build hosts too, even from one that was offline', async (t) => {
  const { on, builder, addBuilder } = await hub(t);
  const never = await addBuilder('builder-2');
  const [serving, building] = [await on.connect(), await builder.connect()];
  await create(on);
  const job = await building.job();
  await build(building, job);
  await tell(building, job, 'built');
  await serving.live(await serving.job());
  await building.leave();
  await until(() => !on.deps.agents.isOnline(builder.id));
  await on.deps.scheduler.removeEnvironment(on.environmentId);
  const back = await builder.connect();
  for (const agent of [serving, back]) {
    const removal = await agent.job();
    assert.deepEqual([removal.kind, removal.environment.id], ['remove', on.environmentId]);
    await agent.end(removal, 'superseded');
  }
  assert.deepEqual(await on.deps.db.selectFrom('removal').selectAll().execute(), []);
  assert.deepEqual((await never.connect()).jobs, []);
});

test('build limits above the plan are lowered, and the job has a notice about it for the build log', async (t) => {
  const { on } = await hub(t, { build: Settings.parse({}).build });
  await setBuilds(on.deps.db, on.hostId, true);
  const build = { ...Settings.parse({}).build, memoryMiB: 16_384 };
  await on.deps.db
    .updateTable('environment')
    .set({ settings: JSON.stringify(Settings.parse({ domains: [{ host: 'production.example.com' }], build })) })
    .where('id', '=', on.environmentId)
    .execute();
  const serving = await on.connect();
  await create(on);
  const job = await serving.job();
  assert.ok(job.kind === 'deploy');
  assert.equal(job.settings.build.memoryMiB, 8192);
  assert.deepEqual(job.notices, [
    'settings.build.memoryMiB: 16384 exceeds the limit of the plan Pro, 8192: lowered to it',
  ]);
});
