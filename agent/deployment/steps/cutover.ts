/**
 * Step 6, cutover: compare-and-set flip of the proxy's upstream to the new target, then drain the old one.
 *
 * The flip is the point of no return: this step has no `undo`. When `run` throws, the runner asks {@link hasFlipped}: false
 * means nothing changed and earlier steps may be undone; true means only forward, so `run` is called again; when it throws,
 * the proxy cannot say, so neither is allowed yet and the runner asks again later.
 */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { DrainAnswer, FlipAnswer, TableView } from '../../../protocol/proxy-admin.ts';
import type { CutoverReceipt } from '../../../protocol/steps.ts';
import type { Step, StepContext } from '../step.ts';

/** How often the flip is tried when its answer was lost or something else changed the upstream in between. */
const TRIES = 3;
const PAUSE_MS = 500;

type UpstreamView = TableView['upstreams'][number];

export const cutover: Step<'cutover'> = {
  name: 'cutover',

  async run(context) {
    const { answer, failedBefore } = await flip(context);
    const drained = await drainPrevious(context, answer);
    const upstream = await upstreamOf(context);
    const receipt = receiptOf(context, { answer, drained, upstream, failedBefore });
    const { current, previous, failed } = receipt;
    context.log.line(
      `requests: ${previous?.requests.served ?? 0} by the old target, ${current.requests.served} by the new, ${failed} failed`,
    );
    return receipt;
  },
};

/** Whether visitors of the environment are served by this deployment. Throws when the proxy does not tell. */
export async function hasFlipped(context: StepContext): Promise<boolean> {
  return isOurs(await upstreamOf(context), context);
}

async function upstreamOf({ job, ports }: StepContext): Promise<UpstreamView | undefined> {
  const { upstreams } = await ports.proxy.table();
  return upstreams.find(({ id }) => id === job.environment.id);
}

/** The active target is the first that is not on its way out. */
function isOurs(upstream: UpstreamView | undefined, { job }: StepContext): boolean {
  return upstream?.generation === job.generation && upstream.targets[0]?.id === job.deploymentId;
}

/** Flip, whatever happens to the answers. `failedBefore`: the upstream's failures up to the flip. */
async function flip(context: StepContext): Promise<{ answer: FlipAnswer; failedBefore: number }> {
  const { job, output, ports, log, signal } = context;
  const { address, port } = output('deploy');
  const entry = {
    id: job.environment.id,
    generation: job.generation,
    targets: [{ id: job.deploymentId, address, port }],
    routes: job.settings.domains,
    edge: job.settings.edge,
  };
  for (let attempt = 1; ; attempt += 1) {
    // Read anew each time: a lost answer may hide a flip that was done, and the proxy answers that one again.
    const before = await upstreamOf(context);
    const seen = before?.generation ?? 0;
    if (seen > job.generation || (seen === job.generation && !isOurs(before, context))) throw stale(seen, context);
    // The last moment to turn back. After the call below a cancellation comes too late.
    if (!isOurs(before, context)) signal.throwIfAborted();
    try {
      const answer = await ports.proxy.flip({ entry, expectedGeneration: seen });
      log.line(`generation ${answer.generation} serves${answer.changed ? '' : ' (it had been flipped before)'}`);
      return { answer, failedBefore: before?.failed ?? 0 };
    } catch (error) {
      if (attempt === TRIES || !mayHaveChanged(error)) throw error;
      log.line(`flip ${attempt}: ${error.message}; looking at the table again`);
    }
    await ports.clock.sleep(PAUSE_MS);
  }
}

/** Errors after which the table has to be read again: someone was faster, or the answer was lost on the way. */
function mayHaveChanged(error: unknown): error is OrkestrError {
  return (
    error instanceof OrkestrError && (error.code === 'ORK_GENERATION_STALE' || error.code === 'ORK_PROXY_UNREACHABLE')
  );
}

function stale(seen: number, { job }: StepContext): OrkestrError {
  return new OrkestrError(
    'ORK_GENERATION_STALE',
    `Generation ${seen} of this environment serves already; this deployment is generation ${job.generation}.`,
  );
}

/** The old target finishes what it has; what is left at the deadline is cut. Null when there is none. */
async function drainPrevious({ job, ports, log }: StepContext, { previous }: FlipAnswer): Promise<DrainAnswer | null> {
  if (previous === null || previous.targetId === job.deploymentId) return null;
  const { drainSeconds: deadlineSeconds, streamDrainSeconds } = job.settings;
  log.line(`draining ${previous.targetId}: ${previous.inFlight} in flight, at most ${deadlineSeconds} s`);
  const drained = await ports.proxy.drain({
    upstreamId: job.environment.id,
    targetId: previous.targetId,
    deadlineSeconds,
    streamDeadlineSeconds: Math.max(streamDrainSeconds, deadlineSeconds),
    spreadSeconds: 0,
  });
  log.line(
    drained.known
      ? `drained in ${Math.round(drained.ms)} ms, ${drained.forced} connections cut`
      : 'the proxy was restarted since, so nothing is in flight',
  );
  return drained;
}

interface Observed {
  readonly answer: FlipAnswer;
  readonly drained: DrainAnswer | null;
  readonly upstream: UpstreamView | undefined;
  readonly failedBefore: number;
}

function receiptOf({ job }: StepContext, { answer, drained, upstream, failedBefore }: Observed): CutoverReceipt {
  const { previous } = answer;
  const current = upstream?.targets.find(({ id }) => id === job.deploymentId);
  return {
    generation: answer.generation,
    flippedAt: answer.flippedAt,
    previous: previous && {
      targetId: previous.targetId,
      requests: drained?.known ? drained.requests : previous.requests,
      errors: 0,
      firstRequestAt: null,
      lastRequestAt: null,
      inFlightAtFlip: previous.inFlight,
    },
    current: {
      targetId: job.deploymentId,
      requests: current?.requests ?? { served: 0, failed: 0 },
      errors: current?.errors ?? 0,
      firstRequestAt: null,
      lastRequestAt: null,
    },
    drain: drained && { ms: drained.ms, forced: drained.forced, streams: drained.streams },
    held: null,
    // A proxy that was restarted in between counts from zero again.
    failed: Math.max(0, (upstream?.failed ?? 0) - failedBefore),
    urls: job.settings.domains.map(({ host, pathPrefix }) => `http://${host}${pathPrefix}`),
  };
}
