/**
 * Step 6, cutover: compare-and-set flip of the proxy's upstream to the new target. Then drains the old one and, as long
 * as it is kept anyway, watches how the new one does with real visitors.
 *
 * The flip is the point of no return, with one exception: if the new target goes bad in the watch window, the proxy is
 * flipped back (../regression.ts). This step has no `undo`. When `run` throws, the runner calls {@link hasFlipped}:
 * false means visitors are on the old target, so earlier steps may be undone; true means only forward, so `run` is
 * called again; if it throws, the proxy cannot say, so neither is allowed yet and the runner asks again later.
 */
import type { EdgePart } from '../../../protocol/edge-order.ts';
import { isSameEdge } from '../../../protocol/edge-order.ts';
import { OrkestrError, toErrorReport } from '../../../protocol/errors.ts';
import type { DrainAnswer, FlipAnswer, UpstreamView } from '../../../protocol/proxy-admin.ts';
import { drainTarget } from '../drain.ts';
import { servingPort } from '../port.ts';
import { describeReceipt, makeReceipt } from '../receipt.ts';
import { endAfterFlipBack, wasFlippedBack, watchWindow } from '../regression.ts';
import { addressNow, startTarget } from '../target.ts';
import { names } from '../step.ts';
import type { Step, StepContext } from '../step.ts';
import { upstreamOf } from '../upstream.ts';

/** How many times to try the flip if its answer is lost or something else changes the upstream in between. */
const TRIES = 3;
const PAUSE_MS = 500;

export const cutover: Step<'cutover'> = {
  name: 'cutover',

  async run(context) {
    const answer = await flip(context);
    const drained = await settle(context, answer);
    const receipt = await makeReceipt(context, answer, drained);
    context.log.line(describeReceipt(receipt));
    return receipt;
  },
};

/** Whether this deployment serves the visitors of the environment. Throws if the proxy does not answer. */
export async function hasFlipped(context: StepContext): Promise<boolean> {
  return isOurs(await upstreamOf(context), context);
}

/** The active target is the first in the list. */
function isOurs(upstream: UpstreamView | undefined, { job }: StepContext): boolean {
  return upstream?.generation === job.generation && upstream.targets[0]?.id === job.deploymentId;
}

/** Flips, even if answers get lost. */
async function flip(context: StepContext): Promise<FlipAnswer> {
  const { job, output, ports, log, signal } = context;
  const port = servingPort(output('deploy'), output('health'));
  for (let attempt = 1; ; attempt += 1) {
    // Read again each time: a lost answer may hide a flip that was done, and the proxy answers a repeated flip alike.
    const before = await upstreamOf(context);
    if (wasFlippedBack(before, context)) throw await endAfterFlipBack(context);
    const seen = before?.generation ?? 0;
    if (seen > job.generation || (seen === job.generation && !isOurs(before, context))) throw stale(seen, context);
    // The last moment to turn back: after the call below a cancel comes too late.
    if (!isOurs(before, context)) signal.throwIfAborted();
    const address = await addressNow(context, isOurs(before, context));
    const entry = {
      id: job.environment.id,
      generation: job.generation,
      targets: [{ id: job.deploymentId, address, port }],
      ...context.edge(),
    };
    try {
      const answer = await ports.proxy.flip({ entry, expectedGeneration: seen });
      await keepUp(context, entry);
      log.line(`generation ${answer.generation} serves${answer.changed ? '' : ' (it had been flipped before)'}`);
      return answer;
    } catch (error) {
      if (attempt === TRIES || !mayHaveChanged(error)) throw error;
      log.line(`flip ${attempt}: ${error.message}; looking at the table again`);
    }
    await ports.clock.sleep(PAUSE_MS);
  }
}

/** Newer settings may have come while the flip was in progress. */
async function keepUp({ job, ports, edge }: StepContext, flipped: EdgePart): Promise<void> {
  const now = edge();
  if (isSameEdge(now, flipped)) return;
  await ports.proxy.edge({ upstreamId: job.environment.id, expectedGeneration: job.generation, ...now });
}

/** Errors after which the table has to be read again: someone else was faster, or the answer was lost. */
function mayHaveChanged(error: unknown): error is OrkestrError {
  return (
    error instanceof OrkestrError && (error.code === 'ORK_GENERATION_STALE' || error.code === 'ORK_PROXY_UNREACHABLE')
  );
}

function stale(seen: number, { job }: StepContext): OrkestrError {
  return new OrkestrError(
    'ORK_GENERATION_STALE',
    `Generation ${seen} of this environment is already serving; this deployment is generation ${job.generation}.`,
  );
}

/**
 * The old target finishes its requests while the new one is watched. Null if there is no old one, or if the environment
 * is being removed and nobody waits for it.
 * @throws OrkestrError ORK_APP_REGRESSED if the new one went bad and the old one serves again
 */
async function settle(context: StepContext, { previous }: FlipAnswer): Promise<DrainAnswer | null> {
  const isAlone = previous === null || previous.targetId === context.job.deploymentId;
  // Past the way back. After a reboot the new one may have no restart policy yet, and come up at another address.
  if ((isAlone || context.isLive) && (await startTarget(context))) await flip(context);
  if (isAlone) return null;
  const { targetId, inFlight, streams } = previous;
  context.log.line(`${targetId} has ${inFlight} in flight, ${streams} of them streams`);
  const over = new AbortController();
  // Only a container that the journal knows is certain to be kept until the next step.
  const isKept = context.previous?.deploymentId === targetId;
  const until = AbortSignal.any([over.signal, context.removal]);
  const drained = drainTarget(context, targetId, until);
  const watched = isKept && !context.isLive ? watchWindow(context, targetId, until) : Promise.resolve();
  const work = [drained, watched.then(() => stay(context))] as const;
  try {
    return (await Promise.all(work))[0];
  } catch (error) {
    if (!context.removal.aborted) throw error;
    context.log.line('the environment is being deleted: not waiting for requests in flight');
    return null;
  } finally {
    // The drain of a target that serves again would only end at its deadline. And a step that runs again must not meet
    // a flip back that is still in progress.
    over.abort();
    await Promise.allSettled(work);
  }
}

/**
 * What is left is the drain, and streams may take a day to end. Meanwhile no other deployment should wait, and an app
 * that crashes is restarted like any live one.
 */
async function stay(context: StepContext): Promise<void> {
  const { job, ports, log } = context;
  try {
    await ports.containers.keepRunning(names.container(job.deploymentId));
  } catch (error) {
    // The last step does it again, and the drain does not depend on it.
    log.line(`the engine does not take that the app is to be kept running: ${toErrorReport(error).message}`);
  }
  context.takeOver();
  context.leaveSlot();
}
