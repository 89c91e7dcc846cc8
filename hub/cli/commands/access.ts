/** `access add|remove|list`: who may see an environment's app, by name and password (basic auth at the edge). */
import { Environment } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { action, group, leaf, withPlace } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { readSecret } from '../input.ts';
import { tellWhatIsActive, untilAnswered } from '../edge-change.ts';
import type { Output } from '../output.ts';
import { environmentPath } from '../place.ts';
import type { PlaceOptions } from '../place.ts';

type Options = PlaceOptions & { json?: boolean };
type Users = readonly { readonly user: string; readonly password?: string }[];

export const addAccessCommands: AddCommands = (program, context, outcome) => {
  const access = group(
    program,
    'access',
    'Names and passwords that visitors of an app must give; without any it is open.',
  );

  const add = withPlace(
    leaf(access, 'add <user>', 'Add a user, or change the password of one. It is asked for, or read from stdin.', [
      'orkestr access add ada --project shop -e preview',
      'pass show preview | orkestr access add ada -e preview',
    ]),
  );
  action<Options>(add, context, outcome, async (output, options, [user = '']) => {
    const path = await environmentPath(context, options);
    const users = await usersAt(context, path);
    const password = await readSecret(context.terminal, `Password for ${user}: `);
    const others = users.filter((one) => one.user !== user);
    await change(context, output, path, [...others, { user, password }]);
  });

  const remove = withPlace(
    leaf(access, 'remove <user>', 'Remove a user. Without any user the app is open to all.', [
      'orkestr access remove ada -e preview',
    ]),
  );
  action<Options>(remove, context, outcome, async (output, options, [user = '']) => {
    const path = await environmentPath(context, options);
    const users = await usersAt(context, path);
    const others = users.filter((one) => one.user !== user);
    if (others.length === users.length) throw new OrkestrError('ORK_NOT_FOUND', `There is no user ${user}.`);
    await change(context, output, path, others);
  });

  const list = withPlace(
    leaf(access, 'list', 'List the users. Passwords are never shown.', ['orkestr access list -e preview']),
  );
  action<Options>(list, context, outcome, async (output, options) => {
    show(output, await usersAt(context, await environmentPath(context, options)));
  });
};

async function usersAt(context: Context, path: string): Promise<Users> {
  return (await context.hub().get(path, Environment)).settings.edge.basicAuth;
}

/** Users that are given without a password keep theirs. */
async function change(context: Context, output: Output, path: string, basicAuth: Users): Promise<void> {
  const changes = { edge: { basicAuth } };
  const changed = await context.hub().patch(path, { settings: changes }, Environment);
  const now = await untilAnswered(context, path, changed);
  show(output, now.settings.edge.basicAuth);
  tellWhatIsActive(output, now, changes);
}

function show(output: Output, users: Users): void {
  output.object({ users: users.map(({ user }) => user) });
  if (users.length === 0) output.line('No users: the app is open to all.');
  for (const { user } of users) output.line(user);
}
