/** API tokens of the team. */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { checkScope } from '../auth/identity.ts';
import { requireScope } from '../auth/hook.ts';
import { API_TOKEN_PREFIX, hashSecretToken, makeSecretToken } from '../auth/secret-token.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { notFound } from '../store/not-found.ts';
import type { Row } from '../store/schema.ts';
import { deleteToken, insertToken, listTokens } from '../store/tokens.ts';
import { IdParams } from './params.ts';
import { MadeToken, NewToken, Token } from './schemas.ts';
import type { Scope } from './schemas.ts';

const DAY_MS = 24 * 3600 * 1000;

export function registerTokens(app: HubApp, { db, clock }: HubDeps): void {
  app.get(
    '/tokens',
    {
      ...requireScope('admin'),
      schema: { summary: 'API tokens of the team', tags: ['tokens'], response: { 200: z.array(Token) } },
    },
    async (request) => (await listTokens(db, request.identity.teamId)).map(tokenView),
  );

  app.post(
    '/tokens',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Create an API token',
        description: 'The token is shown only in this answer. It cannot have scopes that the caller does not have.',
        tags: ['tokens'],
        body: NewToken,
        response: { 201: MadeToken },
      },
    },
    async (request, reply) => {
      const { identity, body } = request;
      for (const scope of body.scopes) checkScope(identity, scope);
      const token = makeSecretToken(API_TOKEN_PREFIX);
      const now = clock.now();
      const days = body.expiresInDays;
      const row: Row<'api_token'> = {
        id: randomUUIDv7(),
        team_id: identity.teamId,
        user_id: identity.userId,
        name: body.name,
        hash: hashSecretToken(token),
        scopes: JSON.stringify([...new Set(body.scopes)]),
        created_at: now.toISOString(),
        expires_at: days === undefined ? null : new Date(now.getTime() + days * DAY_MS).toISOString(),
        last_used_at: null,
      };
      await insertToken(db, row);
      return reply.code(201).send({ ...tokenView(row), token });
    },
  );

  app.delete(
    '/tokens/:id',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Revoke an API token',
        description: 'Console sessions opened with it end too.',
        tags: ['tokens'],
        params: IdParams,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      if (!(await deleteToken(db, request.identity.teamId, id))) throw notFound('token', id);
      return reply.code(204).send(null);
    },
  );
}

const tokenView = (row: Row<'api_token'>): Token => ({
  id: row.id,
  name: row.name,
  scopes: JSON.parse(row.scopes) as Scope[],
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
});
