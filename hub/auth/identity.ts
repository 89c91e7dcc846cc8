/** The identity behind an API token or a console session, and its permissions. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Clock } from '../deps.ts';
import type { Scope } from '../model/scope.ts';
import { type Db, storeTrouble } from '../store/database.ts';
import { findSessionToken } from '../store/sessions.ts';
import { findTokenByHash, touchToken } from '../store/tokens.ts';
import type { Row } from '../store/schema.ts';
import { hashSecretToken } from './secret-token.ts';

export interface Identity {
  readonly tokenId: string;
  readonly userId: string;
  readonly teamId: string;
  readonly scopes: readonly Scope[];
}

/** Dependencies of authentication; a subset of `HubDeps`. */
export interface AuthDeps {
  readonly db: Db;
  readonly clock: Clock;
}

/** The identity of an API token (`ork_...`), or undefined when the token is unknown, revoked or expired. */
export async function authenticateToken(deps: AuthDeps, token: string): Promise<Identity | undefined> {
  return toIdentity(deps, await findTokenByHash(deps.db, hashSecretToken(token)));
}

/** The identity of a session cookie's value, or undefined when the session or its token has ended. */
export async function authenticateSession(deps: AuthDeps, session: string): Promise<Identity | undefined> {
  const now = deps.clock.now().toISOString();
  return toIdentity(deps, await findSessionToken(deps.db, hashSecretToken(session), now));
}

/** @throws OrkestrError ORK_FORBIDDEN without any of the scopes, naming them. */
export function checkScope(identity: Identity, ...anyOf: readonly Scope[]): void {
  if (anyOf.some((scope) => identity.scopes.includes(scope))) return;
  const needed = anyOf.map((scope) => `"${scope}"`).join(' or ');
  throw new OrkestrError('ORK_FORBIDDEN', `This needs the scope ${needed}, which the token does not have.`, {
    evidence: [`scopes of the token: ${identity.scopes.join(', ')}`],
  });
}

async function toIdentity(deps: AuthDeps, token: Row<'api_token'> | undefined): Promise<Identity | undefined> {
  const now = deps.clock.now().toISOString();
  if (token === undefined || (token.expires_at !== null && token.expires_at <= now)) return undefined;
  await noteUse(deps.db, token, now);
  return {
    tokenId: token.id,
    userId: token.user_id,
    teamId: token.team_id,
    scopes: JSON.parse(token.scopes) as Scope[],
  };
}

/** Ignores a database that cannot be written now: reads must still work, not least for whoever fixes it. */
async function noteUse(db: Db, token: Row<'api_token'>, now: string): Promise<void> {
  try {
    await touchToken(db, token, now);
  } catch (error) {
    if (storeTrouble(error) === undefined) throw error;
  }
}
