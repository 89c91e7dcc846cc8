/** `hosts upgrade` and `upgrades list|show|resume|skip|cancel`. */
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { OrkestrError } from '../../../protocol/errors.ts';
import { Host, Upgrade } from '../../api/schemas.ts';
import { apiPath } from '../../api/paths.ts';
import { action, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { followUpgrade, showUpgrade } from '../follow-upgrade.ts';
import { findHost } from '../hosts.ts';
import { statusStyle } from '../output.ts';
import { formatAge } from '../text/format.ts';

interface UpgradeOptions {
  readonly json?: boolean;
  readonly all?: boolean;
  readonly version?: string;
  readonly atOnce: number;
  readonly follow?: boolean;
}

/** Belongs to the group `hosts`. */
export const addUpgradeCommand: AddCommands = (hosts, context, outcome) => {
  const upgrade = leaf(hosts, 'upgrade [hosts...]', 'Upgrade hosts (names or ids) to the version of the hub.', [
    'orkestr hosts upgrade vps-1',
    'orkestr hosts upgrade vps-1 vps-2 --version 1.4.0',
    'orkestr hosts upgrade --all --at-once 2 --follow',
  ])
    .option('--all', 'every host that has joined and is not newer')
    .option('--version <version>', 'refuse any other version')
    .option('--at-once <number>', 'hosts at the same time', atOnceOf, 1)
    .option('--follow', 'stay until it finishes or pauses');
  action<UpgradeOptions>(upgrade, context, outcome, async (output, options, names) => {
    const { version, atOnce, follow } = options;
    const body = { ...(version === undefined ? {} : { version }), atOnce, ...(await hostsOf(context, options, names)) };
    const made = await context.hub().post('/upgrades', body, Upgrade);
    if (follow) return followUpgrade(context, output, made);
    showUpgrade(output, made);
    output.line(`\nFollow it: orkestr upgrades show ${made.id} --follow`);
    return EXIT.ok;
  });
};

export const addUpgradeCommands: AddCommands = (program, context, outcome) => {
  const upgrades = group(program, 'upgrades', 'Upgrades of hosts and their progress.');

  const list = leaf(upgrades, 'list', 'List the upgrades, newest first.', ['orkestr upgrades list']);
  action(list, context, outcome, async (output) => {
    const found = await context.hub().get('/upgrades', z.array(Upgrade));
    output.object({ upgrades: found });
    if (found.length === 0) return output.line('No upgrades yet. Start one: orkestr hosts upgrade --all');
    return output.table(
      ['TO', 'STATE', 'HOSTS', 'BEGUN', 'ID'],
      found.map((one) => [one.version, one.state, progressOf(one), formatAge(one.createdAt, context.now()), one.id]),
      (cell, column) => (column === 1 ? output.style(statusStyle(cell), cell) : cell),
    );
  });

  const show = leaf(upgrades, 'show [upgrade]', 'Show the state of each host in an upgrade (default: the newest).', [
    'orkestr upgrades show',
    'orkestr upgrades show 01890000-0000-7000-8000-000000000001 --follow',
  ]).option('--follow', 'stay until it finishes or pauses');
  action<{ json?: boolean; follow?: boolean }>(show, context, outcome, async (output, { follow }, [id]) => {
    const found = await findUpgrade(context, id);
    if (follow) return followUpgrade(context, output, found);
    return showUpgrade(output, found);
  });

  const resume = leaf(upgrades, 'resume [upgrade]', 'Resume a paused upgrade: hosts that failed are retried.', [
    'orkestr upgrades resume --follow',
  ]).option('--follow', 'stay until it finishes or pauses');
  action<{ json?: boolean; follow?: boolean }>(resume, context, outcome, async (output, { follow }, [id]) => {
    const { id: found } = await findUpgrade(context, id);
    const resumed = await context.hub().post(apiPath('upgrades', found, 'resume'), {}, Upgrade);
    if (follow) return followUpgrade(context, output, resumed);
    return showUpgrade(output, resumed);
  });

  const skip = leaf(upgrades, 'skip <hosts...>', 'Skip hosts that are waiting or have failed in the newest upgrade.', [
    'orkestr upgrades skip vps-2',
  ]);
  action(skip, context, outcome, async (output, _options, names) => {
    const { id } = await findUpgrade(context, undefined);
    const hosts = await idsOf(context, names);
    showUpgrade(output, await context.hub().post(apiPath('upgrades', id, 'skip'), { hosts }, Upgrade));
  });

  const cancel = leaf(upgrades, 'cancel [upgrade]', 'Cancel an upgrade; hosts that are upgrading finish.', [
    'orkestr upgrades cancel',
  ]);
  action(cancel, context, outcome, async (output, _options, [id]) => {
    const { id: found } = await findUpgrade(context, id);
    showUpgrade(output, await context.hub().post(apiPath('upgrades', found, 'cancel'), {}, Upgrade));
  });
};

/** @throws OrkestrError ORK_INVALID unless the options select hosts unambiguously */
async function hostsOf(
  context: Context,
  { all }: UpgradeOptions,
  names: readonly string[],
): Promise<{ hosts?: string[] }> {
  if (names.length > 0 && all) throw new OrkestrError('ORK_INVALID', 'Name hosts or pass --all, not both.');
  if (names.length > 0) return { hosts: await idsOf(context, names) };
  if (all) return {};
  throw new OrkestrError('ORK_INVALID', 'Name the hosts to upgrade, or pass --all.');
}

async function idsOf(context: Context, names: readonly string[]): Promise<string[]> {
  const hosts = await context.hub().get('/hosts', z.array(Host));
  return names.map((name) => findHost(hosts, name).id);
}

/** @throws OrkestrError ORK_NOT_FOUND */
async function findUpgrade(context: Context, id: string | undefined): Promise<Upgrade> {
  if (id !== undefined) return context.hub().get(apiPath('upgrades', id), Upgrade);
  const [newest] = await context.hub().get('/upgrades', z.array(Upgrade));
  if (newest !== undefined) return newest;
  throw new OrkestrError('ORK_NOT_FOUND', 'There is no upgrade yet.');
}

const progressOf = ({ hosts }: Upgrade): string =>
  `${hosts.filter(({ state }) => state === 'healthy').length} of ${hosts.length}`;

/** @throws InvalidArgumentError which commander reports with the option's name */
function atOnceOf(text: string): number {
  const hosts = Number(text);
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > 100) throw new InvalidArgumentError('A number from 1 to 100.');
  return hosts;
}
