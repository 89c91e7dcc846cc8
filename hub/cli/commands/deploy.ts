/** `deploy`, `rollback`, `cancel`. */
import { Deployment } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { apiPath } from '../../api/paths.ts';
import { action, leaf, withPlace } from '../command.ts';
import type { AddCommands } from '../command.ts';
import { describe, followToFate } from '../follow.ts';
import { findLive, findPreviousRelease, listOpen } from '../latest.ts';
import type { Output } from '../output.ts';
import { environmentPath } from '../place.ts';
import type { PlaceOptions } from '../place.ts';
import { shortCommit } from '../text/format.ts';

interface Options extends PlaceOptions {
  readonly json?: boolean;
  readonly detach?: boolean;
  readonly commit?: string;
  readonly again?: boolean;
  readonly giveUp?: boolean;
  readonly variables?: 'current' | 'release';
}

export const addDeployCommands: AddCommands = (program, context, outcome) => {
  const settle = async (output: Output, options: Options, made: Deployment): Promise<number | void> => {
    if (!options.detach) return followToFate(context, output, made);
    output.object(made);
    output.line(`${describe(made)} · ${made.id}`);
    output.line(`  follow  orkestr logs ${made.id} --follow`);
    return undefined;
  };

  const deploy = withPlace(
    leaf(program, 'deploy', "Deploy the newest commit of the environment's branch, and follow it.", [
      'orkestr deploy',
      'orkestr deploy --project shop --environment staging',
      'orkestr deploy --commit 1f0c6ad1f0c6ad1f0c6ad1f0c6ad1f0c6ad1f0c6 --detach',
      'orkestr deploy --again    # apply new settings and variables to the live version, without a build',
      'orkestr deploy --json | jq -c \'select(.kind == "step") | .step | {name, status, ms}\'',
      '',
      'Exits 0 when live, 1 failed, 2 wrong usage, 3 cancelled or skipped, 4 hub not reachable, 130 detached by Ctrl-C.',
      'With --json: one event per line, the last of kind `end`.',
    ]),
  )
    .option('--commit <sha>', 'deploy this commit instead of the newest')
    .option('--again', 'deploy the live version again from its image, with the current settings and variables')
    .option('-d, --detach', 'do not wait for it to finish');
  action<Options>(deploy, context, outcome, async (output, options) => {
    if (options.again === true) return settle(output, options, await deployAgain(options));
    const path = await environmentPath(context, options, 'deployments');
    return settle(output, options, await context.hub().post(path, { commit: options.commit }, Deployment));
  });

  async function deployAgain(options: Options): Promise<Deployment> {
    if (options.commit !== undefined) {
      throw new OrkestrError('ORK_INVALID', '--again deploys the live commit: remove --commit.');
    }
    const live = await findLive(context, options);
    if (live === null) throw new OrkestrError('ORK_NOT_FOUND', 'Nothing is live here yet. Run: orkestr deploy');
    return context.hub().post(`${apiPath('deployments', live)}/rollback`, { variables: 'current' }, Deployment);
  }

  const rollback = withPlace(
    leaf(
      program,
      'rollback [deployment]',
      'Roll back to an earlier release (default: the one before the live one), and follow it.',
      [
        'orkestr rollback    # run it again to go back one more',
        'orkestr rollback 01890000-0000-7000-8000-000000000000 --variables release',
      ],
    ),
  )
    .option('--variables <which>', 'use the `current` variables, or those of the `release`', 'current')
    .option('-d, --detach', 'do not wait for it to finish');
  action<Options>(rollback, context, outcome, async (output, options, [id]) => {
    if (options.variables !== 'current' && options.variables !== 'release') {
      throw new OrkestrError('ORK_INVALID', '--variables must be current or release.');
    }
    const to = id ?? (await previousRelease());
    const path = `${apiPath('deployments', to)}/rollback`;
    return settle(output, options, await context.hub().post(path, { variables: options.variables }, Deployment));

    async function previousRelease(): Promise<string> {
      const found = await findPreviousRelease(context, options);
      if (found === undefined) throw new OrkestrError('ORK_NOT_FOUND', 'There is no earlier release to roll back to.');
      output.note(`Back to ${shortCommit(found.commit)} of ${found.finishedAt ?? found.createdAt} (${found.id}).`);
      return found.id;
    }
  });

  const cancel = withPlace(
    leaf(
      program,
      'cancel [deployment]',
      'Cancel a deployment (default: the current one). The live version keeps serving.',
      [
        'orkestr cancel',
        'orkestr cancel 01890000-0000-7000-8000-000000000000',
        'orkestr cancel --give-up    # its host is offline: do not wait until it reconnects',
      ],
    ),
  ).option('--give-up', 'while its host is offline: end it at once as failed; the host cancels it later');
  action<Options>(cancel, context, outcome, async (output, options, [id]) => {
    const [first, ...behind] = id === undefined ? await listOpen(context, options) : [];
    const which = id ?? first?.id;
    if (which === undefined) throw new OrkestrError('ORK_NOT_FOUND', 'No deployment is in progress.');
    const path = `${apiPath('deployments', which)}/cancel`;
    const cancelled = await context.hub().post(path, { giveUp: options.giveUp === true }, Deployment);
    output.object(cancelled);
    output.line(`${describe(cancelled)}: cancel requested, now ${cancelled.status}.`);
    if (cancelled.cancelRequested && cancelled.waitingFor !== undefined) {
      output.line(
        `It waits for ${cancelled.waitingFor}: it keeps running there until the host reconnects and receives the cancel.`,
      );
      output.line(`  give up  orkestr cancel ${cancelled.id} --give-up`);
    }
    for (const other of behind) {
      output.line(`Behind it, ${other.status}: ${describe(other)}`);
      output.line(`  cancel  orkestr cancel ${other.id}`);
    }
  });
};
