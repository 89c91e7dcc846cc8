/**
 * Brings what should be live back: container started, probed, and the proxy pointed at the address it has now. The same steps
 * as in a deployment, without journal and without a new generation.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { AnyStage, Pipeline } from './pipeline.ts';
import type { Ports, StepLog } from './ports.ts';
import type { DeploymentJournal, LiveRecord } from './records.ts';
import { restart } from './restart.ts';
import { contextOf, outputsOf } from './run.ts';

export interface ReviveParts {
  readonly journal: DeploymentJournal;
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** Where the steps' own lines go. */
  readonly log: StepLog;
}

/**
 * Makes sure that the live target runs and answers.
 * @returns its address now
 * @throws OrkestrError when it cannot be started or does not get healthy: nothing is flipped then
 */
export async function revive(parts: ReviveParts, live: LiveRecord, signal: AbortSignal): Promise<string> {
  const job = parts.journal.job(live.deploymentId);
  return job === null ? reviveAdopted(parts, live, signal) : reviveFromJournal(parts, live, signal);
}

async function reviveFromJournal(parts: ReviveParts, live: LiveRecord, signal: AbortSignal): Promise<string> {
  const payload = parts.journal.payload(live.deploymentId);
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

const ADOPTED_TRIES = 60;

/** The journal was lost and its job with it: the container still is what it was, so starting it again is enough. */
async function reviveAdopted({ ports }: ReviveParts, live: LiveRecord, signal: AbortSignal): Promise<string> {
  const { deploymentId, entry } = live;
  return restart(ports, { deploymentId, port: entry.targets[0]?.port ?? 0, tries: ADOPTED_TRIES }, signal);
}
