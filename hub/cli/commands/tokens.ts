/** `tokens list|create|revoke`. */
import { z } from 'zod';
import { MadeToken, Scope, Token } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { apiPath } from '../../api/paths.ts';
import { action, collect, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import { integer } from '../input.ts';
import { formatAge } from '../text/format.ts';

interface CreateOptions {
  json?: boolean;
  scope?: string[];
  expiresInDays?: string;
}

export const addTokenCommands: AddCommands = (program, context, outcome) => {
  const tokens = group(program, 'tokens', 'API tokens: for the CLI, for CI, for git.');

  const list = leaf(tokens, 'list', 'List the tokens. The tokens themselves are never shown again.', [
    'orkestr tokens list',
  ]);
  action(list, context, outcome, async (output) => {
    const found = await context.hub().get('/tokens', z.array(Token));
    output.object({ tokens: found });
    output.table(
      ['NAME', 'SCOPES', 'MADE', 'USED', 'EXPIRES', 'ID'],
      found.map((token) => [
        token.name,
        token.scopes.join(','),
        formatAge(token.createdAt, context.now()),
        token.lastUsedAt === null ? 'never' : formatAge(token.lastUsedAt, context.now()),
        token.expiresAt?.slice(0, 10) ?? 'never',
        token.id,
      ]),
    );
  });

  const create = leaf(tokens, 'create <name>', 'Create a token and print it. It is shown only once.', [
    'orkestr tokens create laptop-git --scope git',
    'orkestr tokens create ci --scope deploy --expires-in-days 90',
  ])
    .option('--scope <scope>', `${Scope.options.join(', ')}; may be repeated (default: read, deploy)`, collect)
    .option('--expires-in-days <days>', 'how long it is valid (default: forever)');
  action<CreateOptions>(create, context, outcome, async (output, options, [name]) => {
    const body = {
      name,
      scopes: options.scope ?? ['read', 'deploy'],
      expiresInDays: options.expiresInDays && integer(options.expiresInDays, '--expires-in-days'),
    };
    const made = await context.hub().post('/tokens', body, MadeToken);
    output.object(made);
    output.note(`Token ${made.name} (${made.scopes.join(', ')}). It is shown only once:`);
    output.line(made.token);
  });

  const revoke = leaf(tokens, 'revoke <token>', 'Revoke a token (name or id) at once.', [
    'orkestr tokens revoke laptop-git',
  ]);
  action(revoke, context, outcome, async (output, _options, [name]) => {
    const found = (await context.hub().get('/tokens', z.array(Token))).filter(
      (token) => token.id === name || token.name === name,
    );
    const [token] = found;
    if (token === undefined) throw new OrkestrError('ORK_NOT_FOUND', `There is no token ${name}.`);
    if (found.length > 1) {
      throw new OrkestrError('ORK_INVALID', `More than one token is called ${name}. Give its id.`, {
        evidence: found.map(({ id }) => id),
      });
    }
    await context.hub().delete(apiPath('tokens', token.id));
    output.object({ revoked: token.id });
    output.line(`Revoked ${token.name}.`);
  });
};
