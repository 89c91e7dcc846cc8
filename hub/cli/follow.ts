/** Follows a deployment to its end and tells its fate. */
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import type { Deployment } from '../api/schemas.ts';
import type { Context } from './context.ts';
import { followDeployment } from './events.ts';
import { EXIT } from './exit.ts';
import { FollowView } from './follow-view.ts';
import type { FollowViewOptions } from './follow-view.ts';
import type { Output } from './output.ts';
import { elapsed, formatDuration, shortCommit } from './text/format.ts';

const FRAME_MS = 120;

/** Streams until the deployment ended or Ctrl-C detached. Gives the deployment as last heard of, and whether it has ended. */
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
  try {
    const events = followDeployment(context.hub(), deploymentId, {
      signal: detach.signal,
      onReconnect: (error) => output.note(`${error.message} Trying again …`),
    });
    for await (const event of events) {
      view.show(event);
      ended = event.kind === 'end';
    }
    return { deployment: view.deployment, ended };
  } finally {
    clearInterval(timer);
    forget();
    view.close();
  }
}

/** Follows a deployment that was just made; the exit code is its fate. */
export async function followToFate(context: Context, output: Output, made: Deployment): Promise<number> {
  output.line(`${describe(made)} · ${made.id}`);
  output.line(output.style('dim', made.consoleUrl));
  const { deployment = made, ended } = await follow(context, output, made.id);
  if (!ended) {
    output.note('Detached; the deployment goes on.');
    output.note(`  follow  orkestr logs ${made.id} --follow`);
    output.note(`  cancel  orkestr cancel ${made.id}`);
    return EXIT.interrupted;
  }
  showFate(output, deployment);
  return fateCode(deployment.status);
}

/** What a deployment is, in a few words: `deploy of shop (production), main at 1a2b3c4`. */
export const describe = (deployment: Deployment): string =>
  `${deployment.kind === 'rollback' ? 'Rollback' : 'Deploy'} of ${deployment.project.slug} (${deployment.environment.slug}), ` +
  `${deployment.branch} at ${shortCommit(deployment.commit)}`;

function showFate(output: Output, deployment: Deployment): void {
  const ms = elapsed(deployment.startedAt, deployment.finishedAt);
  const time = ms === null ? '' : ` after ${formatDuration(ms)}`;
  output.line();
  switch (deployment.status) {
    case 'live':
      output.line(`${output.style(['bold', 'green'], 'Live')}${time}`);
      for (const url of deployment.urls) output.line(`  ${url}`);
      break;
    case 'skipped':
      output.line(`Skipped: a newer one took its place${deployment.replacedBy ? ` (${deployment.replacedBy})` : ''}.`);
      break;
    case 'failed':
      output.line(`${output.style(['bold', 'red'], 'Failed')}${time}. What served before serves on.`);
      break;
    case 'cancelled':
    case 'superseded':
    case 'queued':
    case 'running':
      output.line(`${deployment.status[0]?.toUpperCase()}${deployment.status.slice(1)}${time}.`);
  }
  if (deployment.error !== null && deployment.status === 'failed') output.report(deployment.error);
}

/** Superseded is a success too: it went live, and something newer has followed since. */
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
