/** `hosts list|add|join-token|set|upgrade|remove`. */
import { Option } from 'commander';
import { z } from 'zod';
import { Host, MadeHost } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { safeLine } from '../../../protocol/safe-text.ts';
import { apiPath } from '../../api/paths.ts';
import { action, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { namedHost } from '../hosts.ts';
import { statusStyle } from '../output.ts';
import type { Output } from '../output.ts';
import { formatAge } from '../text/format.ts';
import { humanSize } from '../../../protocol/size.ts';
import { hostHints } from '../text/host-hints.ts';
import { addUpgradeCommand } from './upgrades.ts';

export const addHostCommands: AddCommands = (program, context, outcome) => {
  const hosts = group(program, 'hosts', 'The servers that run your apps.').alias('host');

  const list = leaf(hosts, 'list', 'List the hosts and their state.', ['orkestr hosts list']);
  action(list, context, outcome, async (output) => {
    const found = await context.hub().get('/hosts', z.array(Host));
    output.object({ hosts: found });
    if (found.length === 0) output.line('No hosts yet. Add one: orkestr hosts add NAME');
    else {
      output.table(
        ['HOST', 'STATE', 'SEEN', 'VERSION', 'BUILDS', 'ENGINE', 'PROXY', 'MEMORY FREE', 'DISK FREE', 'ID'],
        found.map((host) => hostRow(host, context.now())),
        (cell, column) => (column === 1 ? output.style(statusStyle(cell), cell) : cell),
      );
      for (const host of found) showWhatToDo(output, host);
    }
  });

  const add = leaf(hosts, 'add <name>', 'Add a host and print the command that joins it.', ['orkestr hosts add vps-1']);
  action(add, context, outcome, async (output, _options, [name]) => {
    showJoin(context, output, await context.hub().post('/hosts', { name }, MadeHost));
  });

  const rejoin = leaf(hosts, 'join-token <host>', 'Create a new join token for a host (name or id).', [
    'orkestr hosts join-token vps-1',
  ]);
  action(rejoin, context, outcome, async (output, _options, [name]) => {
    const host = await namedHost(context, String(name));
    showJoin(context, output, await context.hub().post(apiPath('hosts', host.id, 'join-token'), {}, MadeHost));
  });

  const set = leaf(hosts, 'set <host>', 'Change a host (name or id); takes effect with the next deployment.', [
    'orkestr hosts set vps-1 --builds no       # it runs images built by other hosts; docs/registry.md',
    'orkestr hosts set vps-1 --builds yes',
  ]).addOption(
    new Option('--builds <yes|no>', 'whether it builds, or only runs images built by other hosts').choices([
      'yes',
      'no',
    ]),
  );
  action<{ json?: boolean; builds?: 'yes' | 'no' }>(set, context, outcome, async (output, { builds }, [name]) => {
    if (builds === undefined) throw new OrkestrError('ORK_INVALID', 'Nothing to change: give at least one option.');
    const { id } = await namedHost(context, String(name));
    const host = await context.hub().patch(apiPath('hosts', id), { builds: builds === 'yes' }, Host);
    output.object(host);
    output.line(
      host.builds
        ? `${host.name} builds its own images.`
        : `${host.name} does not build: its environments need a registry, and another host that builds.`,
    );
  });
  addUpgradeCommand(hosts, context, outcome);

  const remove = leaf(hosts, 'remove <host>', 'Remove a host (name or id) from the hub. Its apps keep running.', [
    'orkestr hosts remove vps-1 --yes',
  ]).option('--yes', 'really remove it');
  action<{ json?: boolean; yes?: boolean }>(remove, context, outcome, async (output, options, [name]) => {
    if (!options.yes) throw new OrkestrError('ORK_INVALID', `This removes ${name} from the hub. Add --yes.`);
    const host = await namedHost(context, String(name));
    await context.hub().delete(apiPath('hosts', host.id));
    output.object({ removed: host.id });
    output.line(`Removed ${host.name}.`);
  });
};

function showJoin(context: Context, output: Output, host: MadeHost): void {
  output.object(host);
  output.line(`Host ${host.name}. Run this there, as root:`);
  output.line();
  const join = `orkestr-agent join --hub ${context.config.url} --token ${host.joinToken} --name ${argument(host.name)}`;
  output.line(`  ${host.installCommand ?? join}`);
  output.line();
  output.line(`The token is valid for one host, until ${host.joinTokenExpiresAt}.`);
}

type MadeHost = z.infer<typeof MadeHost>;

function showWhatToDo(output: Output, host: Host): void {
  const { name, refusal } = host;
  if (refusal !== null)
    output.line(`\n${name} is refused: ${safeLine(refusal.message, false)}\n${output.mendOf(refusal.code)}`);
  for (const { says, mend } of hostHints(host)) {
    output.line(`\n${name}: ${safeLine(says, false)}${mend === undefined ? '' : ` ${output.mendOf(mend)}`}`);
  }
}

/** A word for a shell command line, quoted for sh(1) if necessary. */
const argument = (word: string): string => (/^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

function stateOf({ enrolled, online, refusal }: Host): string {
  if (!enrolled) return 'waits for join';
  if (online) return 'online';
  return refusal === null ? 'offline' : 'refused';
}

function hostRow(host: Host, now: number): string[] {
  const { status } = host;
  return [
    host.name,
    stateOf(host),
    host.lastSeenAt === null ? 'never' : formatAge(host.lastSeenAt, now),
    host.agentVersion ?? '',
    host.builds ? 'yes' : 'no',
    status === null ? '' : status.engine.reachable ? (status.engine.version ?? 'up') : 'down',
    status === null ? '' : status.proxy.reachable ? 'up' : 'down',
    status === null ? '' : humanSize(status.memory.availableBytes),
    status === null ? '' : humanSize(status.disk.availableBytes),
    host.id,
  ];
}
