/** Deployments of two hosts, as each of them runs its half: the build job and the serve job. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Report } from '../../protocol/agent-link.ts';
import { BuildJob, ServeJob } from '../../protocol/job.ts';
import type { Image, StepName } from '../../protocol/steps.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { noSignals, openTestJournal, outputFor, runnerParts, scriptedPipeline } from './test-bench.ts';
import { IDS, deployJob, rollbackJob, secondJob } from './test-job.ts';
import type { Journal } from '../journal/journal.ts';
import type { Ports } from './ports.ts';
import { runDeployment } from './runner.ts';
import { deploy } from './steps/deploy.ts';
import { containerOf } from './test-container.ts';
import { aContext } from './test-context.ts';
import { scripted } from './test-ports.ts';

const REFERENCE = `registry.example:5000/team/shop@sha256:${'a'.repeat(64)}`;

const buildJob = (): BuildJob => BuildJob.parse({ ...deployJob(), kind: 'build' });

function serveJob(releaseOf?: string): ServeJob {
  const job = deployJob();
  const built = {
    checkout: outputFor('clone', { job }),
    plan: outputFor('analyze', { job }),
    image: { ...outputFor('build', { job }), registryReference: REFERENCE },
    ...(releaseOf !== undefined && { releaseOf }),
  };
  return ServeJob.parse({ ...job, kind: 'serve', built });
}

async function bench(t: TestContext) {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  return { folder, journal };
}

const reportsOf = (journal: Journal): Report[] =>
  journal.outbox.after(0, 1000).flatMap((row) => (row.kind === 'report' ? [row.report] : []));
const toldSteps = (journal: Journal): string[] => [
  ...new Set(reportsOf(journal).flatMap((report) => (report.kind === 'step' ? [report.step] : []))),
];
const endOf = (journal: Journal) => reportsOf(journal).findLast(({ kind }) => kind === 'deployment');

test('a build job runs the steps up to the image, removes its workspace, and ends in the state built', async (t) => {
  const { folder, journal } = await bench(t);
  const removed: string[] = [];
  const workspaces = scripted<Ports['workspaces']>('workspaces', { remove: async (id) => void removed.push(id) });
  const pipeline = scriptedPipeline();
  const job = buildJob();
  journal.accept(job);
  await runDeployment(runnerParts({ folder, journal, pipeline, ports: { workspaces } }), job.deploymentId, noSignals());
  assert.deepEqual(pipeline.calls, ['run clone', 'run analyze', 'run build']);
  assert.equal(journal.job(job.deploymentId)?.state, 'built');
  assert.equal((endOf(journal) as { status: string }).status, 'built');
  assert.deepEqual(removed, [job.deploymentId]);
  assert.equal(journal.live(job.environment.id), null);
  assert.throws(() => journal.payload(job.deploymentId), 'its secrets are forgotten');
});

test('a build job that fails undoes its steps and ends in the state failed', async (t) => {
  const { folder, journal } = await bench(t);
  const run = async (): Promise<never> => {
    throw new OrkestrError('ORK_REGISTRY_DENIED', 'no');
  };
  const pipeline = scriptedPipeline({ build: { run } });
  const job = buildJob();
  journal.accept(job);
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());
  assert.deepEqual(pipeline.calls.slice(3), ['undo build', 'undo analyze', 'undo clone']);
  const end = endOf(journal) as Extract<Report, { kind: 'deployment' }>;
  assert.deepEqual([end.status, end.error?.code], ['failed', 'ORK_REGISTRY_DENIED']);
});

test('a serve job starts at deploy and reports no steps that another host ran', async (t) => {
  const { folder, journal } = await bench(t);
  const pipeline = scriptedPipeline();
  const job = serveJob();
  journal.accept(job);
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());
  assert.deepEqual(pipeline.calls, ['run deploy', 'run health', 'run cutover', 'run finalize']);
  assert.deepEqual(toldSteps(journal), ['deploy', 'health', 'cutover', 'finalize'] satisfies StepName[]);
  assert.equal(journal.job(job.deploymentId)?.state, 'live');
});

test('a serve job of a release reports its first steps as skipped and never builds', async (t) => {
  const { folder, journal } = await bench(t);
  const pipeline = scriptedPipeline();
  const job = serveJob(IDS.previous);
  journal.accept(job);
  await runDeployment(runnerParts({ folder, journal, pipeline }), job.deploymentId, noSignals());
  assert.equal(pipeline.calls[0], 'run deploy');
  const build = reportsOf(journal).find((report) => report.kind === 'step' && report.step === 'build');
  assert.ok(build?.kind === 'step');
  assert.equal(build.status, 'skipped');
  assert.match(build.note ?? '', new RegExp(`image of deployment ${IDS.previous}`));
});

for (const [there, first] of [
  ['the registry has', 'run deploy'],
  ['nobody has any more', 'run clone'],
] as const) {
  test(`a rollback whose image was pruned here and ${there} starts with ${first}`, async (t) => {
    const { folder, journal } = await bench(t);
    const release = outputFor('finalize', { job: deployJob() });
    const job = rollbackJob({ ...release, image: { ...release.image, registryReference: REFERENCE } });
    const asked: string[] = [];
    const ports = {
      images: scripted<Ports['images']>('images', { find: async () => null }),
      registry: scripted<Ports['registry']>('registry', {
        async whyMissing(reference) {
          asked.push(reference);
          return there === 'the registry has' ? null : 'gone';
        },
      }),
    };
    const pipeline = scriptedPipeline();
    journal.accept(job);
    await runDeployment(runnerParts({ folder, journal, pipeline, ports }), job.deploymentId, noSignals());
    assert.equal(pipeline.calls[0], first);
    assert.deepEqual(asked, [REFERENCE]);
  });
}

test('the step deploy pulls an image that is missing on this host and starts the pulled image', async () => {
  const image: Image = { ...outputFor('build', { job: secondJob() }), registryReference: REFERENCE };
  const here = `sha256:${'b'.repeat(64)}`;
  const started: string[] = [];
  const pulled: string[] = [];
  const context = aContext({
    outputs: { build: image, analyze: outputFor('analyze', { job: secondJob() }) },
    ports: {
      images: scripted<Ports['images']>('images', { find: async () => null }),
      registry: scripted<Ports['registry']>('registry', {
        async pull({ image: wanted }) {
          pulled.push(wanted.registryReference ?? '');
          return here;
        },
      }),
      containers: scripted<Ports['containers']>('containers', {
        async start({ imageId, owner }) {
          started.push(imageId);
          return containerOf(owner.deploymentId);
        },
      }),
    },
  });
  const target = await deploy.run(context);
  assert.deepEqual([pulled, started, target.imageId], [[REFERENCE], [here], here]);
});

test('a serve job whose image is neither here nor in a registry fails with that error and starts nothing', async () => {
  const { registryReference: _, ...image } = serveJob().built.image;
  const gone = new OrkestrError('ORK_IMAGE_GONE', 'in no registry');
  const context = aContext({
    job: serveJob(IDS.previous),
    outputs: { build: image, analyze: outputFor('analyze', { job: secondJob() }) },
    ports: {
      images: scripted<Ports['images']>('images', { find: async () => null }),
      registry: scripted<Ports['registry']>('registry', { pull: () => Promise.reject(gone) }),
    },
  });
  await assert.rejects(deploy.run(context), gone);
});
