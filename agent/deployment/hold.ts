/**
 * `cutover: hold`, for hosts without room for two copies: requests wait at the proxy while the old container stops and
 * the new one starts in its place. The flip ends the hold; so does the undo, which starts the old container again.
 */
import type { Settings } from '../../protocol/job.ts';
import { checkSeconds } from '../probe/index.ts';
import { restart } from './restart.ts';
import { names } from './step.ts';
import type { StepContext } from './step.ts';
import { moved, upstreamOf } from './upstream.ts';

const LOOK_MS = 250;
/** Takes less time than an undo has, so that requests are released in any case. */
const RESTART_TRIES = 30;
const MAX_HOLD_SECONDS = 600;

/**
 * Holds new requests, lets those in flight end, and stops the old container. No-op where two copies may run. Returns
 * normally even if the environment is removed meanwhile: callers must check the signal.
 */
export async function beginHold(context: StepContext): Promise<void> {
  const { job, previous, ports, log, signal, removal } = context;
  if (job.settings.cutover !== 'hold' || previous === null) return;
  const upstreamId = job.environment.id;
  const upstream = await upstreamOf(context);
  if (upstream) {
    // Also for a worker, which nobody visits: reconcile leaves a stopped container alone while its upstream is held.
    await ports.proxy.hold({ upstreamId, ...HOLD_BOUNDS, maxSeconds: requestSeconds(job.settings) });
    if (upstream.routes.length > 0) log.line('visitors are held until the new target serves');
    await untilIdle(context);
  }
  signal.throwIfAborted(); // nothing of the old one has been touched yet
  const name = names.container(previous.deploymentId);
  log.line(`stopping ${name} to make room, at most ${job.settings.stopGraceSeconds} s`);
  // Ignores `signal`: the engine completes the stop anyway, and until then the container still seems to run.
  const stopped = ports.containers.stop(name, job.settings.stopGraceSeconds);
  await Promise.race([stopped, aborted(removal)]);
}

/** Undoes {@link beginHold}: the old container runs and serves again. Held requests are released in any case. */
export async function undoHold(context: StepContext): Promise<void> {
  const { job, previous, ports, log } = context;
  if (job.settings.cutover !== 'hold' || previous === null) return;
  const upstream = await upstreamOf(context);
  if (upstream === undefined) return;
  const { deploymentId } = previous;
  try {
    const port = upstream.targets.find(({ id }) => id === deploymentId)?.port;
    if (port === undefined) return;
    const probed = previous.isWorker === true ? null : port;
    const address = await restart(ports, { deploymentId, port: probed, tries: RESTART_TRIES }, context.signal);
    log.line(`${names.container(deploymentId)} runs again`);
    // Read again: its edge settings may have changed while the app started.
    const now = await upstreamOf(context);
    if (now) await ports.proxy.flip({ entry: moved(now, address), expectedGeneration: now.generation });
  } finally {
    await ports.proxy.resume({ upstreamId: upstream.id });
  }
}

/** What a hold adds to the time limit of the step. */
export const holdSeconds = ({ cutover, drainSeconds, stopGraceSeconds }: Settings): number =>
  cutover === 'hold' ? drainSeconds + stopGraceSeconds : 0;

const HOLD_BOUNDS = { maxRequests: 1000, maxBytes: 16 * 1024 * 1024 } as const;

/** A request waits at most as long as the change may take. */
const requestSeconds = (settings: Settings): number =>
  Math.min(MAX_HOLD_SECONDS, holdSeconds(settings) + checkSeconds(settings.healthCheck));

/** If the environment is being removed, nobody needs the old container back. */
const aborted = (removal: AbortSignal): Promise<void> =>
  new Promise((resolve) => removal.addEventListener('abort', () => resolve(), { once: true }));

/** Counts requests only: streams do not end by themselves, they end with their container. */
async function untilIdle(context: StepContext): Promise<void> {
  const { job, ports, log, signal } = context;
  const { clock } = ports;
  const until = clock.monotonic() + job.settings.drainSeconds * 1000;
  for (;;) {
    const { targets = [] } = (await upstreamOf(context)) ?? {};
    const requests = targets.reduce((sum, { inFlight, streams }) => sum + inFlight - streams, 0);
    if (requests === 0) return;
    if (clock.monotonic() >= until) return log.line(`${requests} requests have not ended in time`);
    await clock.sleep(LOOK_MS, signal);
  }
}
