/** Follows a deployment to its end and reports the result. */
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Deployment } from '../api/schemas.ts';
import type { Context } from './context.ts';
import { followDeployment } from './events.ts';
import { EXIT } from './exit.ts';
import { FollowView } from './follow-view.ts';
import type { FollowViewOptions } from './follow-view.ts';
import type { Output } from './output.ts';
import { elapsed, formatDuration, shortCommit } from './text/format.ts';

const FRAME_MS = 120;

/**
 * Streams until the deployment ended or Ctrl-C detached. Returns the last known deployment, and whether it has ended.
 */
export async function follow(
  context: Context,
  output: Output,
  deploymentId: string,
  options: Omit<FollowViewOptions, 'now'> = {},
): Promise<{ deployment: Deployment | undefined; ended: boolean }> {
  const view = new FollowView(output, { ...options, now: context.now });
  const detach = new AbortController();
  const forget = context.onInterrupt(() => detach.abort());
  const timer = setInterval(() => view.tick(), FRAME_MS);
  let ended = false;
  let away = false;
  try {
    const events = followDeployment(context.hub(), deploymentId, {
      signal: detach.signal,
      onReconnect(error) {
        if (!away) view.note(`${error.message} Trying again …`);
        away = true;
      },
    });
    for await (const event of events) {
      away = false;
      view.show(event);
      ended = event.kind === 'end';
    }
    return { deployment: view.deployment, ended };
  } catch (error) {
    const isThere = away || view.deployment !== undefined;
    if (!isThere || !(error instanceof OrkestrError)) throw error;
    const evidence = [
      ...error.evidence,
      `The deployment continues. Follow it again: orkestr logs ${deploymentId} --follow`,
    ];
    throw new OrkestrError(error.code, error.message, { evidence, cause: error });
  } finally {
    clearInterval(timer);
    forget();
    view.close();
  }
}

/** Follows a new deployment; its result determines the exit code. */
export async function followToFate(context: Context, output: Output, made: Deployment): Promise<number> {
  output.line(`${describe(made)} · ${made.id}`);
  output.line(output.style('dim', made.consoleUrl));
  const { deployment = made, ended } = await follow(context, output, made.id, { deployment: made });
  if (!ended) {
    output.note('Detached; the deployment continues.');
    output.note(`  follow  orkestr logs ${made.id} --follow`);
    output.note(`  cancel  orkestr cancel ${made.id}`);
    return EXIT.interrupted;
  }
  for (const line of fateLines(output, deployment)) output.line(line);
  return fateCode(deployment.status);
}

/** A deployment in a few words: `deploy of shop (production), main at 1a2b3c4`. */
export const describe = (deployment: Deployment): string =>
  `${deployment.kind === 'rollback' ? 'Rollback' : 'Deploy'} of ${deployment.project.slug} (${deployment.environment.slug}), ` +
  `${deployment.branch} at ${shortCommit(deployment.commit)}`;

/** The result, after an empty line; for a failure also the reason and what to do. */
export function fateLines(output: Output, deployment: Deployment): string[] {
  const { status, error, urls, replacedBy } = deployment;
  const ms = elapsed(deployment.startedAt, deployment.finishedAt);
  const time = ms === null ? '' : ` after ${formatDuration(ms)}`;
  if (status === 'live') {
    return ['', `${output.style(['bold', 'green'], 'Live')}${time}`, ...urls.map((url) => `  ${url}`)];
  }
  if (status === 'skipped') {
    return ['', `Skipped: a newer deployment replaced it${replacedBy ? ` (${replacedBy})` : ''}.`];
  }
  if (status === 'failed') {
    // With the host offline, nobody knows what serves there.
    const keeps = urls.length === 0 ? 'running' : 'serving';
    const serves = error?.code === 'ORK_HOST_LOST' ? '' : ` The previous version keeps ${keeps}.`;
    const failed = `${output.style(['bold', 'red'], 'Failed')}${time}.${serves}`;
    return ['', failed, ...(error === null ? [] : output.report(error))];
  }
  return ['', `${status[0]?.toUpperCase()}${status.slice(1)}${time}.`];
}

/** Superseded is a success too: it went live, and a newer deployment has replaced it since. */
const FATES: Readonly<Record<DeploymentStatus, number>> = {
  live: EXIT.ok,
  superseded: EXIT.ok,
  cancelled: EXIT.stopped,
  skipped: EXIT.stopped,
  failed: EXIT.failed,
  queued: EXIT.failed,
  running: EXIT.failed,
};

export const fateCode = (status: DeploymentStatus): number => FATES[status];
