/** `login`, `logout`, `whoami`. */
import { Me } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { Client } from '../client.ts';
import { action, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import { normalUrl, removeLogin, writeLogin } from '../config.ts';
import { readSecret } from '../input.ts';
import type { Output } from '../output.ts';

export const addSessionCommands: AddCommands = (program, context, outcome) => {
  const login = leaf(program, 'login [url]', 'Check a token with the hub and store it.', [
    'orkestr login https://hub.example.com    # asks for the token',
    'pass show orkestr | orkestr login https://hub.example.com',
  ]).option(
    '--token <token>',
    'API token; with `-` it is asked for, or read from stdin, which keeps it out of process lists',
    '-',
  );
  action<{ token: string; json?: boolean }>(login, context, outcome, async (output, options, [given]) => {
    const url = given === undefined ? context.config.url : normalUrl(given, 'The address');
    const token = (
      options.token === '-' ? await readSecret(context.terminal, `API token for ${url}: `) : options.token
    ).trim();
    if (token === '') throw new OrkestrError('ORK_INVALID', 'No token was given.');
    const client = new Client({ url, token, proxies: context.config.proxies });
    try {
      const me = await client.get('/me', Me);
      writeLogin(context.config.path, { url, token });
      output.line(`Logged in to ${url} as ${me.user.email} (team ${me.team.slug}).`);
      output.object({ url, ...me });
    } finally {
      await client.close();
    }
  });

  const logout = leaf(program, 'logout', 'Forget the stored token. It stays valid until it is revoked.', [
    'orkestr logout',
  ]);
  action(logout, context, outcome, async (output) => {
    removeLogin(context.config.path);
    output.line('Logged out.');
    output.object({ loggedOut: true });
  });

  const whoami = leaf(program, 'whoami', 'Show who you are at the hub.', ['orkestr whoami', 'orkestr whoami --json']);
  action(whoami, context, outcome, async (output) => {
    const me = await context.hub().get('/me', Me);
    showMe(output, context.config.url, me);
    output.object({ url: context.config.url, ...me });
  });
};

function showMe(output: Output, url: string, me: Me): void {
  output.fields([
    ['user', `${me.user.name} <${me.user.email}>`],
    ['team', `${me.team.name} (${me.team.slug})`],
    ['plan', me.team.plan],
    ['scopes', me.scopes.join(', ')],
    ['hub', url],
  ]);
}
