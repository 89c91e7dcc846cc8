/** `access add|remove|list`: users of an environment's app (basic auth at the edge). */
import { type EdgeUser, Environment } from '../../api/schemas.ts';
import { action, group, leaf, withPlace } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { readSecret } from '../input.ts';
import { showWhatIsActive, untilAnswered } from '../edge-change.ts';
import type { Output } from '../output.ts';
import { environmentPath } from '../place.ts';
import type { PlaceOptions } from '../place.ts';

type Options = PlaceOptions & { json?: boolean };
type Change = Readonly<Record<string, string | null>>;

export const addAccessCommands: AddCommands = (program, context, outcome) => {
  const access = group(
    program,
    'access',
    'Names and passwords required from visitors of an app; without any user, the app is open to all.',
  );

  const add = withPlace(
    leaf(access, 'add <user>', 'Add a user, or change a password. The password is asked for, or read from stdin.', [
      'orkestr access add ada --project shop -e preview',
      'pass show preview | orkestr access add ada -e preview',
    ]),
  );
  action<Options>(add, context, outcome, async (output, options, [user = '']) => {
    const password = await readSecret(context.terminal, `Password for ${user}: `);
    await change(context, output, options, { [user]: password });
  });

  const remove = withPlace(
    leaf(access, 'remove <user>', 'Remove a user. Without any user, the app is open to all.', [
      'orkestr access remove ada -e preview',
    ]),
  );
  action<Options>(remove, context, outcome, async (output, options, [user = '']) => {
    await change(context, output, options, { [user]: null });
  });

  const list = withPlace(
    leaf(access, 'list', 'List the users. Passwords are never shown.', ['orkestr access list -e preview']),
  );
  action<Options>(list, context, outcome, async (output, options) => {
    const { settings } = await context.hub().get(await environmentPath(context, options), Environment);
    show(output, settings.edge.basicAuth);
  });
};

/** Sends only this change, so that concurrent changes are kept. */
async function change(context: Context, output: Output, options: PlaceOptions, users: Change): Promise<void> {
  const changed = await context.hub().patch(await environmentPath(context, options, 'access'), { users }, Environment);
  const now = await untilAnswered(context, await environmentPath(context, options), changed);
  show(output, now.settings.edge.basicAuth);
  showWhatIsActive(output, now, { edge: { basicAuth: users } });
}

function show(output: Output, users: readonly EdgeUser[]): void {
  output.object({ users: users.map(({ user }) => user) });
  if (users.length === 0) output.line('No users: the app is open to all.');
  for (const { user } of users) output.line(user);
}
