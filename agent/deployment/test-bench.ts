/** Shared by the agent's tests: a real journal, jobs, a scripted pipeline, ports that reject unscripted calls. */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { DeployJob, RollbackJob } from '../../protocol/job.ts';
import { makeSealer } from '../../protocol/sealing.ts';
import type { Release, StepName, StepOutputs } from '../../protocol/steps.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import { makeFailpoint } from './failpoint.ts';
import type { FailpointName } from './failpoint.ts';
import { DEFAULT_LOG_LIMITS, makeDeploymentLogs } from './log.ts';
import type { AnyStage, Pipeline } from './pipeline.ts';
import type { Clock, Ports } from './ports.ts';
import type { RunnerParts } from './run.ts';
import type { Step, StepContext } from './step.ts';
import { BaseImages } from '../detect/base-images.ts';
import { openJournal } from '../journal/journal.ts';
import type { Journal } from '../journal/journal.ts';
import { systemClock } from '../lib/clock.ts';
import { silent } from '../lib/test-logger.ts';

/** A key that each process of a test can derive again. */
export const testSealer = makeSealer(Buffer.alloc(32, 7));

export const openTestJournal = (stateFolder: string, now: () => number = Date.now): Promise<Journal> =>
  openJournal({ stateFolder, sealer: testSealer, log: silent, now });

export const IDS = {
  host: '018f0000-0000-7000-8000-00000000000a',
  project: '018f0000-0000-7000-8000-00000000000b',
  environment: '018f0000-0000-7000-8000-00000000000c',
} as const;

const COMMIT = 'c'.repeat(40);

export function deployJob(changes: Partial<DeployJob> = {}): DeployJob {
  return DeployJob.parse({
    version: 1,
    kind: 'deploy',
    deploymentId: randomUUIDv7(),
    generation: 1,
    hostId: IDS.host,
    issuedAt: new Date(0).toISOString(),
    project: { id: IDS.project, slug: 'shop' },
    environment: { id: IDS.environment, slug: 'production' },
    source: { origin: 'hub', url: 'https://hub.example.com/git/shop.git', branch: 'main' },
    commit: COMMIT,
    settings: { domains: [{ host: 'shop.example.com' }] },
    env: { SECRET: 'hunter2-hunter2' },
    keepImages: 5,
    ...changes,
  });
}

export function rollbackJob(release: Release, changes: Partial<RollbackJob> = {}): RollbackJob {
  return RollbackJob.parse({ ...deployJob(), kind: 'rollback', release, ...changes });
}

/** Outputs that pass the schemas; names and ids derive from the deployment as in the real steps. */
export function outputFor<N extends StepName>(step: N, { job }: Pick<StepContext, 'job'>): StepOutputs[N] {
  const { deploymentId, environment, commit, generation } = job;
  const plan: StepOutputs['analyze'] = {
    detector: 'test',
    confidence: 'certain',
    portGuessed: true,
    framework: 'test',
    runtime: 'test',
    evidence: [],
    warnings: [],
    rootDirectory: '.',
    dockerfile: { origin: 'generated', path: '.orkestr/Dockerfile', text: 'FROM scratch' },
    files: [],
  };
  const image: StepOutputs['build'] = {
    id: `sha256:${deploymentId.replaceAll('-', '').padEnd(64, '0')}`,
    reference: `orkestr/${environment.id}:${deploymentId}`,
    bytes: 1,
    baseImages: {},
    peakMemoryBytes: null,
    exposedPorts: [],
    hasHealthcheck: false,
  };
  const outputs: StepOutputs = {
    clone: { commit, subject: 'a commit', author: 'somebody', files: 1, bytes: 1 },
    analyze: plan,
    build: image,
    deploy: {
      containerId: 'abc',
      containerName: `orkestr-${deploymentId}`,
      address: '172.30.0.2',
      port: 8080,
      portFrom: 'default',
      portGuessed: true,
    },
    health: { probe: 'http', attempts: 2, ms: 1, last: 'HTTP 200', listeners: [], foundPort: null },
    cutover: {
      generation,
      flippedAt: new Date(0).toISOString(),
      previous: null,
      current: {
        targetId: deploymentId,
        requests: { served: 0, failed: 0 },
        errors: 0,
        firstRequestAt: null,
        lastRequestAt: null,
      },
      drain: null,
      held: null,
      failed: 0,
      urls: [],
    },
    finalize: {
      deploymentId,
      commit,
      plan,
      image,
      liveAt: new Date(0).toISOString(),
      supersedes: null,
      foundPort: null,
      prunedImages: [],
    },
  };
  return outputs[step];
}

/** Ports whose every unscripted use fails loudly. */
export function refusingPorts(scripted: Partial<Ports> = {}, clock: Clock = systemClock): Ports {
  const refuse = (port: string): never =>
    new Proxy(
      {},
      {
        get(_, call) {
          throw new Error(`unscripted call: ${port}.${String(call)}`);
        },
      },
    ) as never;
  return {
    sourceControl: refuse('sourceControl'),
    builder: refuse('builder'),
    images: refuse('images'),
    registry: refuse('registry'),
    containers: refuse('containers'),
    proxy: refuse('proxy'),
    workspaces: refuse('workspaces'),
    clock,
    baseImages: BaseImages.parse({}),
    ...scripted,
  };
}

export interface ScriptedStep {
  run?(context: StepContext): Promise<unknown>;
  undo?(context: StepContext): Promise<void>;
}

/** The seven steps in order; a step that is not scripted succeeds at once. `calls` records the order of the calls. */
export function scriptedPipeline(
  script: Partial<Record<StepName, ScriptedStep>> = {},
  hasFlipped: Pipeline['hasFlipped'] = async () => false,
  stands: Pipeline['stands'] = async () => true,
): Pipeline & { readonly calls: string[] } {
  const calls: string[] = [];
  const stages = STEP_NAMES.map((name): AnyStage => {
    const scripted = script[name];
    const step: Step<StepName> = {
      name,
      async run(context) {
        calls.push(`run ${name}`);
        return ((await scripted?.run?.(context)) ?? outputFor(name, context)) as StepOutputs[StepName];
      },
      async undo(context) {
        calls.push(`undo ${name}`);
        await scripted?.undo?.(context);
      },
    };
    return { step, seconds: () => 60, timeoutCode: 'ORK_INTERNAL' } as unknown as AnyStage;
  });
  return { calls, stages, hasFlipped, stands };
}

interface BenchOptions {
  readonly folder: string;
  readonly journal: Journal;
  readonly pipeline: Pipeline;
  readonly ports?: Partial<Ports>;
  readonly clock?: Clock;
  readonly failpoint?: FailpointName | null;
}

export const runnerParts = ({
  folder,
  journal,
  pipeline,
  ports,
  clock = hastyClock(),
  failpoint = null,
}: BenchOptions): RunnerParts => ({
  journal,
  ports: refusingPorts(ports, clock),
  pipeline,
  logs: makeDeploymentLogs({
    folder: join(folder, 'logs'),
    index: journal.outbox,
    limits: DEFAULT_LOG_LIMITS,
    log: silent,
  }),
  failpoint: makeFailpoint(failpoint),
  random: () => 0.5,
  log: silent,
});

/** Sleeps of less than a minute end at once; longer ones are time limits, which only end by their signal. */
export function hastyClock(): Clock {
  let passed = 0;
  return {
    now: () => Date.now(),
    monotonic: () => passed,
    async sleep(ms, signal) {
      if (ms >= 60_000) return systemClock.sleep(ms, signal);
      signal?.throwIfAborted();
      passed += ms;
      await systemClock.sleep(0, signal);
    },
  };
}

export const noSignals = (): { cancel: AbortSignal; shutdown: AbortSignal } => ({
  cancel: new AbortController().signal,
  shutdown: new AbortController().signal,
});
