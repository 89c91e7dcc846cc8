/**
 * Brings what should be live back: container started, probed, and the proxy pointed at the address it has now. The same steps
 * as in a deployment, without journal and without a new generation.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import { tryOnce } from '../probe/index.ts';
import type { AnyStage, Pipeline } from './pipeline.ts';
import type { Ports, StepLog } from './ports.ts';
import type { DeploymentJournal, LiveRecord } from './records.ts';
import { contextOf, outputsOf } from './run.ts';
import { names } from './step.ts';

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
  const run = { parts, job: payload, previousId: null, outputs: outputsOf(parts.journal.steps(live.deploymentId)) };
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
  const name = names.container(live.deploymentId);
  const found = await ports.containers.inspect(name);
  if (!found) throw new OrkestrError('ORK_APP_EXITED', `The container ${name} is gone, and with the journal its job.`);
  const { deploymentId, environmentId, projectId } = found;
  const state = found.running
    ? found
    : await ports.containers.start({
        owner: { deploymentId, environmentId, projectId },
        name,
        // An existing container is started as it is: nothing below is looked at.
        imageId: '',
        env: {},
        limits: { memoryMiB: 512, cpus: 1, pids: 512 },
        readOnlyRoot: false,
        capabilities: [],
        networkName: names.network(projectId),
      });
  const { address } = state;
  if (address === null) throw new OrkestrError('ORK_APP_EXITED', `The container ${name} does not stay up.`);
  const port = live.entry.targets[0]?.port ?? 0;
  await untilItAccepts(ports, { address, port }, signal);
  return address;
}

async function untilItAccepts(
  { clock }: Ports,
  at: { address: string; port: number },
  signal: AbortSignal,
): Promise<void> {
  const check = { kind: 'tcp', startSeconds: 60, intervalSeconds: 1, timeoutSeconds: 5, successes: 1 } as const;
  const none = async (): Promise<never> => {
    throw new OrkestrError('ORK_INTERNAL', 'A tcp probe asks for nothing else.');
  };
  const subject = { ...at, host: undefined, imageHealth: none, exec: none, monotonic: () => clock.monotonic() };
  for (let tries = 1; ; tries++) {
    const { ok, got } = await tryOnce(check, subject, 5000, signal);
    if (ok) return;
    if (tries === ADOPTED_TRIES) throw new OrkestrError('ORK_PORT_CLOSED', got);
    await clock.sleep(1000, signal);
  }
}
