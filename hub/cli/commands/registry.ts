/**
 * `registry add|remove|list`: logins for private base images and for pushing built images. Passwords are write-only.
 */
import { z } from 'zod';
import { RegistryEntry } from '../../api/schemas.ts';
import type { Client } from '../client.ts';
import { apiPath } from '../../api/paths.ts';
import { action, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { readSecret } from '../input.ts';
import type { Output } from '../output.ts';
import { projectName } from '../place.ts';
import { formatAge } from '../text/format.ts';

interface Options {
  json?: boolean;
  project?: string;
}

const PROJECT = ['-p, --project <name>', "project (default: that of this folder's git remote `orkestr`)"] as const;
const List = z.array(RegistryEntry);

export const addRegistryCommands: AddCommands = (program, context, outcome) => {
  const registry = group(
    program,
    'registry',
    'Logins for image registries: for private base images of a project, and for pushing its images.',
  );

  const add = leaf(
    registry,
    'add <host>',
    'Add a login, or replace the one for that registry. The password is asked for, or read from stdin.',
    [
      'orkestr registry add registry.example.com --username ada < token.txt',
      'pass show registry | orkestr registry add registry.example.com:5000 --username ci --project shop',
      'orkestr registry add docker.io --username ada          # Docker Hub',
    ],
  )
    .requiredOption('-u, --username <name>', 'user name of the login')
    .option(...PROJECT);
  action<Options & { username: string }>(add, context, outcome, async (output, options, [host = '']) => {
    const path = await registriesPath(context, options);
    const password = await readSecret(context.terminal, `Password of ${options.username} for ${host}: `);
    const now = await context.hub().put(`${path}${apiPath(host)}`, { username: options.username, password }, List);
    show(context, output, now);
    output.line('\nIt takes effect with the next deployment: orkestr deploy');
  });

  const remove = leaf(registry, 'remove <host>', 'Remove the login for a registry.', [
    'orkestr registry remove registry.example.com',
  ]).option(...PROJECT);
  action<Options>(remove, context, outcome, async (output, options, [host = '']) => {
    const path = await registriesPath(context, options);
    await context.hub().delete(`${path}${apiPath(host)}`);
    show(context, output, await entriesAt(context.hub(), path));
  });

  const list = leaf(registry, 'list', 'List the registries with a login. Passwords are never shown.', [
    'orkestr registry list --project shop',
  ]).option(...PROJECT);
  action<Options>(list, context, outcome, async (output, options) => {
    show(context, output, await entriesAt(context.hub(), await registriesPath(context, options)));
  });
};

const registriesPath = async (context: Context, { project }: Options): Promise<string> =>
  apiPath('projects', await projectName(context, project), 'registries');

const entriesAt = (hub: Client, path: string): Promise<RegistryEntry[]> => hub.get(path, List);

function show(context: Context, output: Output, registries: RegistryEntry[]): void {
  output.object({ registries });
  if (registries.length === 0) output.line('No logins: base images are pulled anonymously.');
  else {
    output.table(
      ['REGISTRY', 'USER', 'CHANGED'],
      registries.map(({ host, username, updatedAt }) => [host, username, formatAge(updatedAt, context.now())]),
    );
  }
}
