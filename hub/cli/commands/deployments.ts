/** `deployments list|show`. */
import { DeploymentDetail } from '../../api/schemas.ts';
import type { Deployment } from '../../api/schemas.ts';
import { apiPath } from '../../api/paths.ts';
import { action, group, leaf, withPlace } from '../command.ts';
import type { AddCommands } from '../command.ts';
import { integer } from '../input.ts';
import { listDeployments } from '../latest.ts';
import { statusStyle } from '../output.ts';
import type { Output } from '../output.ts';
import type { PlaceOptions } from '../place.ts';
import { elapsed, formatAge, formatDuration, shortCommit } from '../text/format.ts';
import { NO_DOMAIN } from '../text/no-domain.ts';
import { safeLine } from '../../../protocol/safe-text.ts';
import { stepSummary } from '../text/step-summary.ts';

type ListOptions = PlaceOptions & { json?: boolean; limit: string };

export const addDeploymentCommands: AddCommands = (program, context, outcome) => {
  const deployments = group(program, 'deployments', 'Deployments and their results.');

  const list = withPlace(
    leaf(deployments, 'list', 'List the deployments of an environment, newest first.', [
      'orkestr deployments list --project shop',
      'orkestr deployments list --limit 50 --json',
    ]),
  ).option('-n, --limit <number>', 'how many', '20');
  action<ListOptions>(list, context, outcome, async (output, options) => {
    const found = await listDeployments(context, options, integer(options.limit, '--limit'));
    output.object({ deployments: found });
    if (found.length === 0) output.line('No deployments yet.');
    else {
      output.table(
        ['STATUS', 'COMMIT', 'TRIGGER', 'AGE', 'TOOK', 'ID'],
        found.map((deployment) => deploymentRow(deployment, context.now())),
        (cell, column) => (column === 0 ? output.style(statusStyle(cell), cell) : cell),
      );
    }
  });

  const show = leaf(deployments, 'show <deployment>', 'Show one deployment with its steps.', [
    'orkestr deployments show 01890000-0000-7000-8000-000000000000',
  ]);
  action(show, context, outcome, async (output, _options, [id]) => {
    const found = await context.hub().get(apiPath('deployments', String(id)), DeploymentDetail);
    output.object(found);
    showDetail(output, found, context.now());
  });
};

const deploymentRow = (deployment: Deployment, now: number): string[] => {
  const ms = elapsed(deployment.startedAt, deployment.finishedAt);
  return [
    deployment.status,
    shortCommit(deployment.commit),
    deployment.trigger,
    formatAge(deployment.createdAt, now),
    ms === null ? '' : formatDuration(ms),
    deployment.id,
  ];
};

function showDetail(output: Output, deployment: DeploymentDetail, now: number): void {
  output.fields([
    ['deployment', deployment.id],
    ['project', `${deployment.project.slug} (${deployment.environment.slug})`],
    ['status', output.style(statusStyle(deployment.status), deployment.status)],
    ['waits for', deployment.waitingFor],
    ['cancel', deployment.cancelRequested ? 'requested; its host has not confirmed it yet' : null],
    ['commit', `${deployment.commit} on ${deployment.branch}`],
    ['trigger', `${deployment.trigger}, ${formatAge(deployment.createdAt, now)}`],
    ['back to', deployment.releaseOf],
    ['replaced by', deployment.replacedBy],
    ['urls', deployment.urls.join(' ') || NO_DOMAIN],
    ['console', deployment.consoleUrl],
  ]);
  if (deployment.steps.length > 0) {
    output.line();
    output.table(
      ['STEP', 'STATUS', 'TIME', 'WHAT'],
      deployment.steps.map((step) => [
        step.name,
        step.status,
        step.ms === null ? '' : formatDuration(step.ms),
        safeLine(stepSummary(step), false),
      ]),
      (cell, column) => (column === 1 ? output.style(statusStyle(cell), cell) : cell),
    );
  }
  if (deployment.error !== null) {
    output.line();
    for (const line of output.report(deployment.error)) output.line(line);
  }
}
