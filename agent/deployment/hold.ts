/**
 * `cutover: hold`, for hosts without room for two copies: visitors wait at the proxy while the old container stops and the
 * new one starts in its place. The flip ends the hold; so does the way back, which starts the old container again.
 */
import type { Settings } from '../../protocol/job.ts';
import type { TableView } from '../../protocol/proxy-admin.ts';
import { moved } from './entry.ts';
import { restart } from './restart.ts';
import { names } from './step.ts';
import type { StepContext } from './step.ts';

const LOOK_MS = 250;
/** Shorter than the time of an undo, so that visitors are let through in any case. */
const RESTART_TRIES = 30;
const MAX_HOLD_SECONDS = 600;

type UpstreamView = TableView['upstreams'][number];

/**
 * Holds new requests, lets those in flight end, and stops the old container. Does nothing where both may run. Told to end
 * meanwhile it returns all the same: whoever goes on has to look at the signal.
 */
export async function beginHold(context: StepContext): Promise<void> {
  const { job, previous, ports, log, signal, removal } = context;
  if (job.settings.cutover !== 'hold' || previous === null) return;
  const upstreamId = job.environment.id;
  if (await upstreamOf(context)) {
    await ports.proxy.hold({ upstreamId, ...HOLD_BOUNDS, maxSeconds: requestSeconds(job.settings) });
    log.line('visitors are held until the new target serves');
    await untilIdle(context);
  }
  signal.throwIfAborted(); // nothing of the old one has been touched yet
  const name = names.container(previous.deploymentId);
  log.line(`stopping ${name} to make room, at most ${job.settings.stopGraceSeconds} s`);
  // Heard out, whatever the signal says: the engine ends it anyhow, and until then it only seems to run.
  const stopped = ports.containers.stop(name, job.settings.stopGraceSeconds);
  await Promise.race([stopped, aborted(removal)]);
}

/** Takes {@link beginHold} back: the old container runs again and serves. Visitors are let through in any case. */
export async function undoHold(context: StepContext): Promise<void> {
  const { job, previous, ports, log } = context;
  if (job.settings.cutover !== 'hold' || previous === null) return;
  const upstream = await upstreamOf(context);
  if (upstream === undefined) return;
  const { deploymentId } = previous;
  try {
    const port = upstream.targets.find(({ id }) => id === deploymentId)?.port;
    if (port === undefined) return;
    const address = await restart(ports, { deploymentId, port, tries: RESTART_TRIES }, context.signal);
    log.line(`${names.container(deploymentId)} runs again`);
    // Anew: its edge settings may have been changed while the app took its time.
    const now = await upstreamOf(context);
    if (now) await ports.proxy.flip({ entry: moved(now, address), expectedGeneration: now.generation });
  } finally {
    await ports.proxy.resume({ upstreamId: upstream.id });
  }
}

/** What the time limit of the step has to allow for on top. */
export const holdSeconds = ({ cutover, drainSeconds, stopGraceSeconds }: Settings): number =>
  cutover === 'hold' ? drainSeconds + stopGraceSeconds : 0;

const HOLD_BOUNDS = { maxRequests: 1000, maxBytes: 16 * 1024 * 1024 } as const;

/** One request waits at most as long as the change may take. */
const requestSeconds = (settings: Settings): number =>
  Math.min(MAX_HOLD_SECONDS, holdSeconds(settings) + settings.healthCheck.startSeconds);

/** When the environment is to go, nobody needs the old one back. */
const aborted = (removal: AbortSignal): Promise<void> =>
  new Promise((resolve) => removal.addEventListener('abort', () => resolve(), { once: true }));

async function upstreamOf({ job, ports }: StepContext): Promise<UpstreamView | undefined> {
  const { upstreams } = await ports.proxy.table();
  return upstreams.find(({ id }) => id === job.environment.id);
}

/** Streams do not end by themselves: they end with their container. */
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
