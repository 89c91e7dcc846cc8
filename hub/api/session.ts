/** The console's login: exchanges an API token for a session cookie that scripts cannot read. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { publicRoute, sessionCookieName } from '../auth/hook.ts';
import { authenticateToken } from '../auth/identity.ts';
import { checkSameOrigin } from '../auth/same-origin.ts';
import { hashSecretToken, makeSecretToken, SESSION_PREFIX } from '../auth/secret-token.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { deleteSession, insertSession } from '../store/sessions.ts';
import { describeIdentity } from './me.ts';
import { guessLimit } from './rate-limit.ts';
import { Me } from './schemas.ts';

const SESSION_SECONDS = 7 * 24 * 3600;

const NewSession = z.object({ token: z.string().min(1).max(200) });

export function registerSession(app: HubApp, deps: HubDeps): void {
  const { db, clock } = deps;
  /** Host-only, inaccessible to scripts, not sent with cross-site requests. */
  const cookie = () => ({
    httpOnly: true,
    sameSite: 'strict' as const,
    secure: deps.hubUrl().startsWith('https:'),
    path: '/',
  });

  app.post(
    '/session',
    {
      config: { ...publicRoute.config, ...guessLimit },
      schema: {
        summary: 'Log the console in',
        description: 'Sets the session cookie. The session ends after 7 days, or when its token becomes invalid.',
        tags: ['session'],
        body: NewSession,
        response: { 200: Me },
      },
    },
    async (request, reply) => {
      // Otherwise another site could log a visitor in as somebody else.
      if (request.headers.origin !== undefined) checkSameOrigin(request.headers, deps.hubUrl());
      const identity = await authenticateToken(deps, request.body.token);
      if (identity === undefined) {
        throw new OrkestrError('ORK_UNAUTHENTICATED', 'The token is unknown, revoked or expired.');
      }
      const session = makeSecretToken(SESSION_PREFIX);
      const now = clock.now();
      await insertSession(db, {
        hash: hashSecretToken(session),
        token_id: identity.tokenId,
        created_at: now.toISOString(),
        expires_at: new Date(now.getTime() + SESSION_SECONDS * 1000).toISOString(),
      });
      reply.setCookie(sessionCookieName(deps.hubUrl()), session, { ...cookie(), maxAge: SESSION_SECONDS });
      return describeIdentity(db, identity);
    },
  );

  app.delete(
    '/session',
    {
      ...publicRoute,
      schema: { summary: 'Log the console out', tags: ['session'], response: { 204: z.null() } },
    },
    async (request, reply) => {
      const name = sessionCookieName(deps.hubUrl());
      const session = request.cookies[name];
      if (session !== undefined) {
        checkSameOrigin(request.headers, deps.hubUrl());
        await deleteSession(db, hashSecretToken(session));
      }
      reply.clearCookie(name, cookie());
      return reply.code(204).send(null);
    },
  );
}
