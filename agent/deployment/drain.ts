/** Lets a target finish its requests and streams: how long that may take, and how it is logged. */
import type { Settings } from '../../protocol/job.ts';
import type { DrainAnswer, DrainRequest } from '../../protocol/proxy-admin.ts';
import type { StepContext } from './step.ts';

/** Clients whose streams are closed at the deadline reconnect; closing is spread over at most this, seconds. */
const MAX_SPREAD_SECONDS = 10;

type DrainTimes = Pick<DrainRequest, 'deadlineSeconds' | 'streamDeadlineSeconds' | 'spreadSeconds'>;

function drainTimes({ drainSeconds, streamDrainSeconds }: Settings): DrainTimes {
  const streamDeadlineSeconds = Math.max(streamDrainSeconds, drainSeconds);
  const spreadSeconds = Math.min(MAX_SPREAD_SECONDS, (streamDeadlineSeconds - drainSeconds) / 3);
  return { deadlineSeconds: drainSeconds, streamDeadlineSeconds, spreadSeconds };
}

/** The longest time that a drain takes, seconds. */
export function drainLimitSeconds(settings: Settings): number {
  const { streamDeadlineSeconds, spreadSeconds } = drainTimes(settings);
  return streamDeadlineSeconds + spreadSeconds;
}

/** Waits until a retired target is empty. At the deadlines, remaining requests are cut and streams closed cleanly. */
export async function drainTarget(context: StepContext, targetId: string, signal: AbortSignal): Promise<DrainAnswer> {
  const { job, ports, log } = context;
  const times = drainTimes(job.settings);
  log.line(
    `draining ${targetId}: requests at most ${times.deadlineSeconds} s, streams ${times.streamDeadlineSeconds} s`,
  );
  const answer = await ports.proxy.drain({ upstreamId: job.environment.id, targetId, ...times }, signal);
  log.line(describe(answer));
  return answer;
}

function describe({ known, ms, forced, streams }: DrainAnswer): string {
  if (!known) return 'the proxy was restarted since, so nothing is in flight';
  const requests = `drained in ${Math.round(ms)} ms, ${forced} requests cut`;
  return streams.carried === 0
    ? requests
    : `${requests}; of ${streams.carried} streams ${streams.ended} ended and ${streams.closed} were closed`;
}
