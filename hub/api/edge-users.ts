/**
 * Basic auth users of an environment. Passwords arrive in plain text, are hashed before they are stored, and only the
 * host gets the hashes: the API shows names.
 */
import type { z } from 'zod';
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Settings } from '../../protocol/job.ts';
import { isJsonObject, type JsonObject } from '../../protocol/json.ts';
import { hashPassword } from '../auth/password.ts';
import { invalid } from './problem.ts';
import { ChangedUsers } from './schemas.ts';
import type { GivenSettings, ShownSettings } from './schemas.ts';
import { unknownFields } from './unknown-fields.ts';

export type StoredUsers = EdgeSettings['basicAuth'];

export const showSettings = (settings: Settings): ShownSettings => ({
  ...settings,
  edge: { ...settings.edge, basicAuth: settings.edge.basicAuth.map(({ user }) => ({ user })) },
});

/** The settings of a new environment in their stored form. */
export async function storedSettings(given: GivenSettings): Promise<Settings> {
  const basicAuth = await Promise.all(
    given.edge.basicAuth.map(async ({ user, password }) => ({ user, password: await hashPassword(password) })),
  );
  return { ...given, edge: { ...given.edge, basicAuth } };
}

/** Changed users with hashed passwords; null keeps the current password. */
export type UserChange = readonly { readonly user: string; readonly password: string | null }[];

/**
 * The users named in a patch of settings; null when the patch does not change them. Hashing takes time: call it outside
 * of a transaction.
 * @throws OrkestrError ORK_INVALID
 */
export async function userChangeOf(patch: JsonObject): Promise<UserChange | null> {
  const given = isJsonObject(patch.edge) ? patch.edge.basicAuth : undefined;
  if (given === undefined || given === null) return null;
  const users = ChangedUsers.safeParse(given);
  const at = 'settings.edge.basicAuth';
  if (!users.success)
    throw invalid(users.error.issues.map(({ path, message }) => `${[at, ...path].join('.')}: ${message}`));
  const unknown = unknownFields(given, users.data, at);
  if (unknown.length > 0) throw invalid(unknown);
  return hashUsers(users.data);
}

/** The users in their stored form; a null password keeps the current one. */
export const hashUsers = (given: z.infer<typeof ChangedUsers>): Promise<UserChange> =>
  Promise.all(
    given.map(async ({ user, password }) => ({
      user,
      password: password === undefined ? null : await hashPassword(password),
    })),
  );

/**
 * The patch with the given users replaced by their stored form.
 * @throws OrkestrError ORK_INVALID for a new user without password
 */
export function withUsers(patch: JsonObject, change: UserChange | null, stored: StoredUsers): JsonObject {
  if (change === null) return patch;
  const known = new Map(stored.map(({ user, password }) => [user, password]));
  const basicAuth = change.map(({ user, password }) => ({ user, password: password ?? known.get(user) ?? null }));
  const without = basicAuth.flatMap(({ password }, index) => (password === null ? [index] : []));
  if (without.length > 0) {
    throw invalid(without.map((index) => `settings.edge.basicAuth.${index}.password: a new user needs one`));
  }
  return { ...patch, edge: { ...(patch.edge as JsonObject), basicAuth } };
}
