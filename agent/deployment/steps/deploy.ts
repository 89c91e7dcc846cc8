/**
 * Step 4, deploy: the new container, hardened and limited, beside the one that serves; or in its place (../hold.ts).
 */
import { isWorker } from '../../../protocol/job.ts';
import type { Settings } from '../../../protocol/job.ts';
import { startArgv } from '../../detect/start-command.ts';
import { diagnoseExit, TAIL_LINES } from '../diagnosis.ts';
import { removeWithWords } from '../last-words.ts';
import { ownerOf } from '../owner.ts';
import { dropImages, ensureImage, mayPull } from '../image.ts';
import { askedPort, choosePort, portOfWorker } from '../port.ts';
import { undoHold, beginHold } from '../hold.ts';
import type { Step, StepContext } from '../step.ts';
import { names } from '../step.ts';

const HELD_GRACE_SECONDS = 5;

export const deploy: Step<'deploy'> = {
  name: 'deploy',

  async run(context) {
    const { job, output, ports, log } = context;
    const image = output('build');
    const worker = isWorker(job.settings);
    const port = worker ? portOfWorker(job) : choosePort(job, image, output('analyze'), foundEarlier(context));
    const name = names.container(job.deploymentId);
    const command = commandOverride(context);
    // Before requests are held, where there is no room for two: a pull may take minutes.
    const imageId = await ensureImage(context);
    await beginHold(context);
    context.signal.throwIfAborted(); // cancelled: the old one, which is stopped by now, is brought back, not replaced
    const state = await ports.containers.start({
      owner: ownerOf(job),
      name,
      imageId,
      env: environmentOf(context, worker && askedPort(job) === undefined ? null : port.value),
      ...(command && { command }),
      limits: job.settings.limits,
      readOnlyRoot: job.settings.readOnlyRoot,
      capabilities: job.settings.capabilities,
      networkName: names.network(job.project.id),
    });
    if (!state.running || state.address === null) {
      throw diagnoseExit(state, job.settings.limits.memoryMiB, await ports.containers.tail(name, TAIL_LINES));
    }
    const reached = worker ? 'a worker: nothing connects to it' : `port ${port.value} (${port.from})`;
    log.line(`container ${state.id.slice(0, 12)} at ${state.address}, ${reached}`);
    return {
      containerId: state.id,
      containerName: name,
      address: state.address,
      port: port.value,
      portFrom: port.from,
      portGuessed: port.guessed,
      ...(worker && { worker }),
      ...(imageId !== image.id && { imageId }),
    };
  },

  async undo(context) {
    const { job } = context;
    await removeWithWords(context, names.container(job.deploymentId), graceSeconds(job.settings));
    await undoHold(context);
    // For other jobs, the undo of step build removes what it made.
    if (mayPull(job)) await dropImages(context);
    // The network belongs to the project and stays, also after a failed first deployment: the database that the app
    // missed may be attached to it. It goes with the project's last environment (../removal.ts).
  },
};

/** While requests are held, they wait for this stop, and the new container has not served any. */
const graceSeconds = ({ cutover, stopGraceSeconds }: Settings): number =>
  cutover === 'hold' ? Math.min(stopGraceSeconds, HELD_GRACE_SECONDS) : stopGraceSeconds;

/** The port that was found for the release a rollback goes back to, or for the live deployment. */
function foundEarlier({ job, previous }: StepContext): number | null {
  if (job.kind === 'rollback') return job.release.foundPort;
  const built = job.kind === 'serve' ? job.built.foundPort : null;
  return built ?? previous?.foundPort ?? null;
}

/** The environment's variables, the port, and the identity of this container. @param port null: it listens on none */
function environmentOf({ job }: StepContext, port: number | null): Record<string, string> {
  return {
    ...job.env,
    ...(port !== null && { PORT: String(port) }),
    ORKESTR_DEPLOYMENT_ID: job.deploymentId,
    ORKESTR_COMMIT: job.commit,
    ORKESTR_PROJECT: job.project.slug,
    ORKESTR_ENVIRONMENT: job.environment.slug,
  };
}

/** A generated Dockerfile already contains the start command; for a repository's own Dockerfile it is an override. */
function commandOverride({ output }: StepContext): string[] | undefined {
  const { dockerfile, startCommand } = output('analyze');
  if (dockerfile.origin === 'generated' || startCommand === undefined) return undefined;
  return startArgv(startCommand);
}
