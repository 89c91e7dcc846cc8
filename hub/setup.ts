/** The first account of a hub: a user, their team, and tokens with all scopes. */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { OrkestrError } from '../protocol/errors.ts';
import { Slug } from '../protocol/ids.ts';
import { API_TOKEN_PREFIX, hashSecretToken, makeSecretToken } from './auth/secret-token.ts';
import type { Clock } from './deps.ts';
import { Scope } from './model/scope.ts';
import type { PlanKey } from './plans.ts';
import type { Db } from './store/database.ts';
import { insertTeam } from './store/teams.ts';
import { insertToken } from './store/tokens.ts';
import { findFirstOwner, hasAnyUser, insertMembership, insertUser } from './store/users.ts';

/** Any address with one @: a hub for one machine may well use root@localhost, which stricter patterns reject. */
const Email = z
  .string()
  .max(254)
  .regex(/^[^\s@]+@[^\s@]+$/, 'an e-mail address');

const Wanted = z.object({ email: Email, team: z.string().trim().min(1).max(100) });

export interface Account {
  readonly userId: string;
  readonly teamId: string;
  readonly teamSlug: string;
  /** In plain text; the hub stores only its hash. */
  readonly token: string;
}

/** @throws OrkestrError ORK_CONFLICT when there is a user already, ORK_INVALID */
export async function setUp(db: Db, clock: Clock, wanted: z.input<typeof Wanted>): Promise<Account> {
  return db.transaction().execute(async (tx) => {
    if (await hasAnyUser(tx)) {
      throw new OrkestrError(
        'ORK_CONFLICT',
        'This hub is already set up. To create another admin token, run `orkestr-hub token`.',
      );
    }
    return createAccount(tx, clock, { ...wanted, plan: 'pro' });
  });
}

/** Call it in a transaction. @throws OrkestrError ORK_INVALID */
export async function createAccount(
  db: Db,
  clock: Clock,
  wanted: z.input<typeof Wanted> & { readonly plan: PlanKey },
): Promise<Account> {
  const parsed = Wanted.safeParse(wanted);
  if (!parsed.success) {
    const evidence = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new OrkestrError('ORK_INVALID', `That is not valid: ${evidence.join('; ')}.`, { evidence });
  }
  const { email, team } = parsed.data;
  const created_at = clock.now().toISOString();
  const [userId, teamId, teamSlug] = [randomUUIDv7(), randomUUIDv7(), slugOf(team)];
  await insertUser(db, { id: userId, email: email.toLowerCase(), name: email.split('@', 1)[0] ?? email, created_at });
  await insertTeam(db, { id: teamId, slug: teamSlug, name: team, plan: wanted.plan, created_at });
  await insertMembership(db, { team_id: teamId, user_id: userId, role: 'owner' });
  const token = await addAdminToken(db, clock, { name: 'setup', userId, teamId });
  return { userId, teamId, teamSlug, token };
}

/**
 * Creates another token with all scopes for the hub's first owner, who may have lost theirs. Existing tokens stay
 * valid.
 * @returns the token in plain text, of which the hub stores only the hash
 * @throws OrkestrError ORK_NOT_FOUND when the hub has no user yet
 */
export async function makeAdminToken(db: Db, clock: Clock): Promise<string> {
  const owner = await findFirstOwner(db);
  if (owner === undefined) {
    throw new OrkestrError('ORK_NOT_FOUND', 'This hub has no user yet: create the first one with `orkestr-hub setup`.');
  }
  return addAdminToken(db, clock, { name: 'orkestr-hub token', userId: owner.user_id, teamId: owner.team_id });
}

interface TokenOwner {
  readonly name: string;
  readonly userId: string;
  readonly teamId: string;
}

async function addAdminToken(db: Db, clock: Clock, { name, userId, teamId }: TokenOwner): Promise<string> {
  const token = makeSecretToken(API_TOKEN_PREFIX);
  await insertToken(db, {
    id: randomUUIDv7(),
    team_id: teamId,
    user_id: userId,
    name,
    hash: hashSecretToken(token),
    scopes: JSON.stringify(Scope.options),
    created_at: clock.now().toISOString(),
    expires_at: null,
    last_used_at: null,
  });
  return token;
}

/**
 * The nearest slug to a name in any script: "Größe & Co" → "grosse-co". A name that leaves no valid slug becomes
 * "team".
 */
function slugOf(name: string): string {
  const plain = name
    .replaceAll('ß', 'ss')
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return Slug.safeParse(plain).success ? plain : 'team';
}
