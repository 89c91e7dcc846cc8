/**
 * Basic auth users of an environment's app, changed one by one, so that concurrent changes do not overwrite each other.
 */
import { z } from 'zod';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { getEnvironment, readSettings, updateEnvironment } from '../store/environments.ts';
import { notFound } from '../store/not-found.ts';
import { hashUsers, type StoredUsers, type UserChange, withUsers } from './edge-users.ts';
import { mergeSettings } from './merge-settings.ts';
import { EnvironmentParams } from './params.ts';
import { showEnvironment } from './project-view.ts';
import { AccessChange, Environment } from './schemas.ts';

const PATH = '/projects/:project/environments/:environment/access';

type Place = { readonly teamId: string } & z.infer<typeof EnvironmentParams>;

export function registerAccess(app: HubApp, deps: HubDeps): void {
  const { db, scheduler } = deps;
  app.patch(
    PATH,
    {
      ...requireScope('write'),
      schema: {
        summary: 'Grant or revoke access to the app of an environment',
        description:
          'Adds the named users or changes their passwords, removes those given as null, and leaves the rest. Without any user the app is open to all. The changes are sent to the host at once: `edge` in the answer shows their state there.',
        tags: ['environments'],
        params: EnvironmentParams,
        body: AccessChange,
        response: { 200: Environment },
      },
    },
    async ({ identity, params, body }) => {
      const named = Object.entries(body.users);
      const gone = named.flatMap(([user, password]) => (password === null ? [user] : []));
      const given = await hashUsers(
        named.flatMap(([user, password]) => (password === null ? [] : [{ user, password }])),
      );
      const at = { teamId: identity.teamId, ...params };
      await scheduler.edgeChanged(await db.transaction().execute((tx) => change(tx, at, gone, given)));
      return showEnvironment(deps, (await getEnvironment(db, at.teamId, at.project, at.environment)).environment);
    },
  );
}

/**
 * @returns the id of the environment.
 * @throws OrkestrError ORK_NOT_FOUND for a user to remove who does not exist; ORK_INVALID when there are too many
 */
async function change(tx: Db, at: Place, gone: readonly string[], given: UserChange): Promise<string> {
  const { environment } = await getEnvironment(tx, at.teamId, at.project, at.environment);
  const stored = readSettings(environment);
  const { basicAuth } = stored.edge;
  mustBeThere(gone, basicAuth);
  const named = new Set([...gone, ...given.map(({ user }) => user)]);
  const kept = basicAuth.filter(({ user }) => !named.has(user));
  const patch = withUsers({}, [...kept, ...given], basicAuth);
  const settings = mergeSettings(stored, patch);
  await updateEnvironment(tx, environment.id, { branch: environment.branch, settings, edgeChanged: true });
  return environment.id;
}

function mustBeThere(gone: readonly string[], stored: StoredUsers): void {
  const strange = gone.find((name) => !stored.some(({ user }) => user === name));
  if (strange !== undefined) throw notFound('user', strange);
}
