/** `notify add|list|test|remove`: receivers of notifications. URLs are write-only. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { OrkestrError } from '../../../protocol/errors.ts';
import { MadeReceiver, Receiver } from '../../api/schemas.ts';
import { DEFAULT_NOTICES, NOTICE_KINDS, RECEIVER_KINDS, type ReceiverKind } from '../../model/notice.ts';
import { apiPath } from '../../api/paths.ts';
import { action, collect, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { readSecret } from '../input.ts';
import type { Output } from '../output.ts';
import { projectName } from '../place.ts';
import { formatAge } from '../text/format.ts';
import { deliveryLine, troubleOf } from '../text/receiver-lines.ts';

interface Options {
  json?: boolean;
  project?: string;
  team?: true;
}

interface AddOptions extends Options {
  name?: string;
  on?: string[];
}

const List = z.array(Receiver);

export const addNotifyCommands: AddCommands = (program, context, outcome) => {
  const notify = group(program, 'notify', 'Get notified when a deployment fails or a host goes offline.');

  const add = withPlace(
    leaf(
      notify,
      'add <kind> [email]',
      `Add a receiver: ${RECEIVER_KINDS.join(', ')}. A URL is asked for, or read from stdin.`,
      [
        'orkestr notify add email ops@example.com',
        'orkestr notify add slack < slack-url.txt',
        'orkestr notify add webhook --name pager --on deployment.failed --on host.offline < url.txt',
        'orkestr notify add discord --team          # for all projects and hosts of the team',
      ],
    ),
  )
    .option('-n, --name <name>', 'name of the receiver (default: its kind)')
    .option(
      '--on <kind>',
      `what to send; may be repeated; any of ${NOTICE_KINDS.join(', ')} (default: all but deployment.live)`,
      collect,
    );
  action<AddOptions>(add, context, outcome, async (output, options, [kind = '', email]) => {
    const body = { kind, address: await addressOf(context, kind, email), name: options.name, notices: options.on };
    const made = await context.hub().post(await receiversPath(context, options), body, MadeReceiver);
    output.object(made);
    output.line(
      `${made.name}: ${made.kind} to ${made.address}, for ${isDefault(made.notices) ? 'all but deployment.live' : made.notices.join(', ')}.`,
    );
    if (made.secret !== null) {
      output.line(
        `\nIts messages are signed. The secret to verify the signatures, shown only once:\n\n  ${made.secret}`,
      );
    }
    output.line(`\nTry it: orkestr notify test ${made.name}${made.everywhere ? ' --team' : ''}`);
  });

  const list = withPlace(
    leaf(notify, 'list', 'List the receivers, and notifications that were not delivered.', [
      'orkestr notify list',
      'orkestr notify list --team',
    ]),
  );
  action<Options>(list, context, outcome, async (output, options) => {
    show(context, output, await context.hub().get(await receiversPath(context, options), List));
  });

  const test = withPlace(
    leaf(notify, 'test <name>', 'Send a test now, and report any failure.', [
      'orkestr notify test slack',
      'orkestr notify test email --team',
    ]),
  );
  action<Options>(test, context, outcome, async (output, options, [name = '']) => {
    const path = `${await receiversPath(context, options)}${apiPath(name, 'test')}`;
    const answer = await context.hub().open({ method: 'POST', path, body: {} });
    await answer.body.dump();
    output.object({ sent: name });
    output.line(`${name} has accepted a test.`);
  });

  const remove = withPlace(
    leaf(notify, 'remove <name>', 'Remove a receiver and its pending notifications.', ['orkestr notify remove slack']),
  );
  action<Options>(remove, context, outcome, async (output, options, [name = '']) => {
    await context.hub().delete(`${await receiversPath(context, options)}${apiPath(name)}`);
    output.object({ removed: name });
    output.line(`Removed ${name}.`);
  });
};

const withPlace = (command: Command): Command =>
  command
    .option('-p, --project <name>', "project (default: that of this folder's git remote `orkestr`)")
    .addOption(new Option('--team', 'for the team: notified about all its projects and hosts').conflicts('project'));

const receiversPath = async (context: Context, { project, team }: Options): Promise<string> =>
  team === true ? '/receivers' : apiPath('projects', await projectName(context, project), 'receivers');

/** The URL of a receiver is as good as a password, so it must not be in argv. */
async function addressOf(context: Context, kind: string, email: string | undefined): Promise<string> {
  if (!RECEIVER_KINDS.includes(kind as ReceiverKind)) {
    throw new OrkestrError(
      'ORK_INVALID',
      `"${kind}" is not a kind of receiver. Use one of: ${RECEIVER_KINDS.join(', ')}.`,
    );
  }
  if (kind === 'email') {
    if (email !== undefined) return email;
    throw new OrkestrError('ORK_INVALID', 'The address is missing: orkestr notify add email ADDRESS');
  }
  if (email === undefined) return (await readSecret(context.terminal, `URL of the ${kind} receiver: `)).trim();
  throw new OrkestrError(
    'ORK_INVALID',
    'A URL is a secret and cannot be an argument: enter it when asked, or pass it on stdin.',
  );
}

const isDefault = (notices: readonly string[]): boolean =>
  notices.length === DEFAULT_NOTICES.length && DEFAULT_NOTICES.every((kind) => notices.includes(kind));

function show(context: Context, output: Output, receivers: Receiver[]): void {
  output.object({ receivers });
  if (receivers.length === 0) return output.line('No receivers. Add one: orkestr notify add email ADDRESS');
  output.table(
    ['NAME', 'KIND', 'TO', 'OF', 'LAST', 'ADDED', 'TOLD'],
    receivers.map(({ name, kind, address, everywhere, notices, deliveries: [last], createdAt }) => [
      name,
      kind,
      address,
      everywhere ? 'team' : 'project',
      last === undefined ? 'nothing yet' : deliveryLine(last, context.now()),
      formatAge(createdAt, context.now()),
      isDefault(notices) ? 'all but deployment.live' : notices.join(','),
    ]),
  );
  for (const receiver of receivers) {
    for (const { says, code } of troubleOf(receiver))
      output.line(`\n${receiver.name}: ${says}\n${output.mendOf(code)}`);
  }
}
