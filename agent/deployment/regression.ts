/**
 * The watch window: the new target under real traffic while the old one is still kept, and the way back to the old one.
 *
 * A flip that was undone shows in the proxy's table: the generation is this deployment's, but another target serves.
 * So, whatever crashes in between, a step that runs again sees it and never flips a second time.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import { isWorker } from '../../protocol/job.ts';
import type { UpstreamView } from '../../protocol/proxy-admin.ts';
import { diagnoseExit, TAIL_LINES, tailEvidence } from './diagnosis.ts';
import { drainTarget } from './drain.ts';
import { names } from './step.ts';
import type { StepContext } from './step.ts';

/** How often to inspect the container in the window, ms: without visitors the proxy cannot notice that it died. */
const LOOK_MS = 500;

/**
 * Watches the new target for the window. If it goes bad, `previousId` serves again and the new target is drained.
 * @throws OrkestrError ORK_APP_REGRESSED if it went bad
 */
export async function watchWindow(context: StepContext, previousId: string, signal: AbortSignal): Promise<void> {
  const { job, ports, log } = context;
  // After a hold the old container is stopped: there is no way back.
  if (job.settings.watchSeconds === 0 || job.settings.cutover === 'hold') return;
  log.line(`watching the new target for ${job.settings.watchSeconds} s`);
  const reason = await whyBad(context, signal);
  if (reason === null) return;
  log.line(`the new target went bad: ${reason}`);
  try {
    const request = {
      upstreamId: job.environment.id,
      expectedGeneration: job.generation,
      targetId: previousId,
    };
    await ports.proxy.flipBack(request);
  } catch (cause) {
    if (!(cause instanceof OrkestrError) || cause.code !== 'ORK_CONFLICT') throw cause;
    // There is no way back. The runner goes forward, and this step watches again.
    log.line(`it cannot be flipped back: ${cause.message}`);
    throw await regressed(context, [reason]);
  }
  log.line(`flipped back: ${previousId} serves again`);
  context.leaveSlot();
  await drainTarget(context, job.deploymentId, signal);
  throw await regressed(context, [reason, ...(await visitorsMet(context))]);
}

/** True if visitors were on this deployment and are back on the one before it. */
export function wasFlippedBack(upstream: UpstreamView | undefined, { job, previous }: StepContext): boolean {
  return (
    previous !== null && upstream?.generation === job.generation && upstream.targets[0]?.id === previous.deploymentId
  );
}

/** For a step that finds its flip undone, after a crash or by an admin: drains the new target, returns the error. */
export async function endAfterFlipBack(context: StepContext): Promise<OrkestrError> {
  const { job, signal } = context;
  context.leaveSlot();
  await drainTarget(context, job.deploymentId, signal);
  const reason = 'its flip was undone before this step ended; the log above may show why';
  return regressed(context, [reason, ...(await visitorsMet(context))]);
}

/** Null if all went well, or if something else replaced the target. */
async function whyBad(context: StepContext, signal: AbortSignal): Promise<string | null> {
  const { job, ports } = context;
  const over = new AbortController();
  try {
    return await Promise.race([
      exitOf(context, AbortSignal.any([signal, over.signal])),
      ports.proxy
        .watch(
          {
            upstreamId: job.environment.id,
            targetId: job.deploymentId,
            seconds: job.settings.watchSeconds,
            ...job.settings.watch,
          },
          AbortSignal.any([signal, over.signal]),
        )
        .then(({ verdict, reason }) => (verdict === 'refuses' || verdict === 'errors' ? reason : null)),
    ]);
  } finally {
    over.abort();
  }
}

/** How the container ended; does not resolve while it runs. */
async function exitOf({ job, ports, log }: StepContext, signal: AbortSignal): Promise<string> {
  let told = false;
  for (;;) {
    await ports.clock.sleep(LOOK_MS, signal);
    try {
      const state = await ports.containers.inspect(names.container(job.deploymentId));
      if (state?.running !== true) {
        return diagnoseExit(state, job.settings.limits.memoryMiB, [], 'after it had taken over').message;
      }
    } catch (error) {
      // An engine that does not respond says nothing about the app; the proxy watches on.
      if (!told) log.line(`the container cannot be looked at: ${String(error)}`);
      told = true;
    }
  }
}

async function regressed(context: StepContext, reasons: readonly string[]): Promise<OrkestrError> {
  return new OrkestrError('ORK_APP_REGRESSED', 'The app was healthy, but failed right after it had taken over.', {
    evidence: [...reasons, ...tailEvidence(await tailOf(context))],
  });
}

/** The receipt of the flip back, in words: a failed step has no output, so the counts go into its error. */
async function visitorsMet({ job, ports, log }: StepContext): Promise<readonly string[]> {
  if (isWorker(job.settings)) return []; // nobody visits it, so there is nothing to count
  try {
    const { previous, failed } = await ports.proxy.receipt(job.environment.id);
    if (previous?.targetId !== job.deploymentId) return [];
    const { requests, errors } = previous;
    return [
      `it had ${requests.served + requests.failed} requests: ${errors} answered 5xx, ${requests.failed} failed; ${failed} failed after the flip back`,
    ];
  } catch (error) {
    log.line(`the proxy gives no receipt of the flip back: ${String(error)}`);
    return [];
  }
}

/** Last lines of the app. They are evidence only, so failing to read them is not an error. */
async function tailOf({ job, ports, log }: StepContext): Promise<readonly string[]> {
  try {
    return await ports.containers.tail(names.container(job.deploymentId), TAIL_LINES);
  } catch (error) {
    log.line(`the app's last lines could not be read: ${String(error)}`);
    return [];
  }
}
