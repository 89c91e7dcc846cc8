/** For tests: a real journal, a scripted pipeline, and what a runner needs besides. */
import { join } from 'node:path';
import { makeSealer } from '../../protocol/sealing.ts';
import type { StepName, StepOutputs } from '../../protocol/steps.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import { makeFailpoint } from './failpoint.ts';
import type { FailpointName } from './failpoint.ts';
import { DEFAULT_LOG_LIMITS, makeDeploymentLogs } from './log.ts';
import type { AnyStage, Pipeline } from './pipeline.ts';
import type { Clock, Ports } from './ports.ts';
import type { RunnerParts } from './run.ts';
import type { Step, StepContext } from './step.ts';
import { hastyClock } from './test-clock.ts';
import { scriptedPorts } from './test-ports.ts';
import { openJournal } from '../journal/journal.ts';
import type { Journal } from '../journal/journal.ts';
import { silent } from '../lib/test-logger.ts';

/** A key that each process of a test can derive again. */
export const testSealer = makeSealer(Buffer.alloc(32, 7));

export const openTestJournal = (stateFolder: string, now: () => number = Date.now): Promise<Journal> =>
  openJournal({ stateFolder, sealer: testSealer, log: silent, now });

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

export interface ScriptedStep {
  run?(context: StepContext): Promise<unknown>;
  undo?(context: StepContext): Promise<void>;
}

/** The seven steps in order; a step that is not scripted succeeds at once. `calls` records the order of the calls. */
export function scriptedPipeline(
  script: Partial<Record<StepName, ScriptedStep>> = {},
  hasFlipped: Pipeline['hasFlipped'] = async () => false,
  isTargetUp: Pipeline['isTargetUp'] = async () => true,
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
  return { calls, stages, hasFlipped, isTargetUp };
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
  ports: scriptedPorts({ clock, ...ports }),
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

export const noSignals = (): { cancel: AbortSignal; shutdown: AbortSignal } => ({
  cancel: new AbortController().signal,
  shutdown: new AbortController().signal,
});
