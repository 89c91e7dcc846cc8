/** The client's own identity. */
import type { Identity } from '../auth/identity.ts';
import { anyScope } from '../auth/hook.ts';
import type { Db } from '../store/database.ts';
import { getTeam } from '../store/teams.ts';
import { getUser } from '../store/users.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { Me } from './schemas.ts';

export function registerMe(app: HubApp, { db }: HubDeps): void {
  app.get(
    '/me',
    { ...anyScope, schema: { summary: 'The owner of the token', tags: ['session'], response: { 200: Me } } },
    (request) => describeIdentity(db, request.identity),
  );
}

export async function describeIdentity(db: Db, identity: Identity): Promise<Me> {
  const [user, team] = await Promise.all([getUser(db, identity.userId), getTeam(db, identity.teamId)]);
  return {
    user: { id: user.id, email: user.email, name: user.name },
    team: { id: team.id, slug: team.slug, name: team.name, plan: team.plan },
    scopes: [...identity.scopes],
  };
}
