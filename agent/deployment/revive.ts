/**
 * Brings back what should be live: starts the container, probes it, sets its restart policy, and returns the address
 * that the proxy must use. The same steps as in a deployment, without journal and without a new generation.
 */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import type { AnyStage, Pipeline } from './pipeline.ts';
import type { Ports, StepLog } from './ports.ts';
import { isLiveWorker } from './records.ts';
import type { DeploymentJournal, LiveRecord } from './records.ts';
import { restart } from './restart.ts';
import { contextOf, outputsOf } from './run.ts';
import { names } from './step.ts';

interface ReviveParts {
  readonly journal: DeploymentJournal;
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** Receives the steps' own log lines. */
  readonly log: StepLog;
}

/**
 * Makes sure that the live target runs and answers.
 * @returns its address now
 * @throws OrkestrError if it cannot be started or does not get healthy; the proxy is then left as it is
 */
export async function revive(parts: ReviveParts, live: LiveRecord, signal: AbortSignal): Promise<string> {
  const payload = payloadOf(parts, live);
  const address = await (payload === null
    ? reviveAsItIs(parts, live, signal)
    : reviveFromJournal(parts, live, payload, signal));
  await keepRunning(parts, names.container(live.deploymentId));
  return address;
}

/** A newly created container has no restart policy yet. */
async function keepRunning({ ports, log }: ReviveParts, name: string): Promise<void> {
  try {
    await ports.containers.keepRunning(name);
  } catch (error) {
    // Docker cannot store the policy. The app serves, and visitors should reach it.
    if (!(error instanceof OrkestrError) || error.code !== 'ORK_DISK_FULL') throw error;
    log.line(`${name} runs, and is not started again by Docker when it ends: ${error.message}`);
  }
}

/** Null if the journal, or the key that sealed it, was lost. The container itself still is what it was. */
function payloadOf({ journal, log }: ReviveParts, { deploymentId }: LiveRecord): Job | null {
  if (journal.job(deploymentId) === null) return null;
  try {
    return journal.payload(deploymentId);
  } catch (error) {
    log.line(
      `the job of ${deploymentId} cannot be read, so its container is started as it is: ${toErrorReport(error).message}`,
    );
    return null;
  }
}

async function reviveFromJournal(
  parts: ReviveParts,
  live: LiveRecord,
  payload: Job,
  signal: AbortSignal,
): Promise<string> {
  if (payload.kind === 'remove') throw new OrkestrError('ORK_INTERNAL', 'A remove job cannot be live.');
  const run = {
    parts,
    job: payload,
    previousId: null,
    foundPort: null,
    outputs: outputsOf(payload, parts.journal.steps(live.deploymentId)),
  };
  const context = contextOf(run, parts.log, signal);
  const target = await stageOf(parts.pipeline, 'deploy').step.run(context);
  run.outputs.set('deploy', target);
  await stageOf(parts.pipeline, 'health').step.run(context);
  return target.address;
}

type StageNamed<N> = Extract<AnyStage, { step: { name: N } }>;

function stageOf<N extends AnyStage['step']['name']>(pipeline: Pipeline, name: N): StageNamed<N> {
  const stage = pipeline.stages.find(({ step }) => step.name === name);
  if (!stage) throw new OrkestrError('ORK_INTERNAL', `The pipeline has no step ${name}.`);
  return stage as StageNamed<N>;
}

/** One try per second. */
const TRIES = 60;

async function reviveAsItIs({ ports }: ReviveParts, live: LiveRecord, signal: AbortSignal): Promise<string> {
  const { deploymentId, entry } = live;
  const port = isLiveWorker(live) ? null : (entry.targets[0]?.port ?? 0);
  return restart(ports, { deploymentId, port, tries: TRIES }, signal);
}
