/**
 * Whether the target of a deployment still runs where it was probed. Until it has taken over, nothing restarts it: a
 * reboot, or an engine that took its containers down, stops it, and its address may then belong to another container.
 */
import { toErrorReport } from '../../protocol/errors.ts';
import { isWorker } from '../../protocol/job.ts';
import { diagnoseExit, TAIL_LINES } from './diagnosis.ts';
import { servingPort } from './port.ts';
import type { ContainerState } from './ports.ts';
import { restart } from './restart.ts';
import type { StepContext } from './step.ts';

/** Once a second: the app has started before. */
const RESTART_TRIES = 60;

/** Whether it runs at the address that the step deploy reported. */
export async function isTargetUp(context: StepContext): Promise<boolean> {
  const state = await look(context);
  return state?.running === true && state.address === context.output('deploy').address;
}

/**
 * Its address, now that visitors are to come.
 * @throws OrkestrError ORK_APP_EXITED, ORK_APP_MEMORY if it does not run and visitors are not on it yet
 */
export async function addressNow(context: StepContext, hasFlipped: boolean): Promise<string> {
  const { job, output, ports } = context;
  const { address, containerName } = output('deploy');
  const state = await look(context);
  if (state === undefined || hasFlipped || state?.running === true) return state?.address ?? address;
  const tail = state === null ? [] : await ports.containers.tail(containerName, TAIL_LINES);
  throw diagnoseExit(state, job.settings.limits.memoryMiB, tail, 'between its last check and the flip');
}

/**
 * Starts it again: past the flip, there is no target to go back to.
 * @returns whether it had stopped
 * @throws OrkestrError ORK_APP_EXITED, ORK_PORT_CLOSED
 */
export async function startTarget(context: StepContext): Promise<boolean> {
  const { job, output, ports, log, signal } = context;
  const state = await look(context);
  if (state === undefined || state?.running === true) return false;
  log.line('it has taken over and does not run: starting it again');
  const port = isWorker(job.settings) ? null : servingPort(output('deploy'), output('health'));
  await restart(ports, { deploymentId: job.deploymentId, port, tries: RESTART_TRIES }, signal);
  return true;
}

/**
 * Null: the container is gone. Undefined: the engine does not respond, which says nothing about an app that was healthy
 * a moment ago.
 */
async function look({ output, ports, log }: StepContext): Promise<ContainerState | null | undefined> {
  try {
    return await ports.containers.inspect(output('deploy').containerName);
  } catch (error) {
    log.line(`no look at the container before visitors come: ${toErrorReport(error).message}`);
    return undefined;
  }
}
