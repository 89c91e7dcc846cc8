/** Environments of a project. */
import { z } from 'zod';
import { edgePartOf, isSameEdge } from '../../protocol/edge-order.ts';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { getEnvironment, listEnvironments, readSettings, updateEnvironment } from '../store/environments.ts';
import { deleteHistory } from '../store/history.ts';
import { getProject } from '../store/projects.ts';
import { storedSettings, userChangeOf, withUsers } from './edge-users.ts';
import type { UserChange } from './edge-users.ts';
import { EnvironmentParams, ProjectParams } from './params.ts';
import { checkPlan, placeEnvironment, withDomain } from './place-environment.ts';
import { showEnvironment } from './project-view.ts';
import { Environment, EnvironmentChange, NewEnvironment } from './schemas.ts';
import { mergeSettings } from './merge-settings.ts';

const PATH = '/projects/:project/environments/:environment';

export function registerEnvironments(app: HubApp, deps: HubDeps): void {
  const { db, scheduler } = deps;
  const tags = ['environments'];
  const show = async (teamId: string, project: string, reference: string): Promise<Environment> =>
    showEnvironment(deps, (await getEnvironment(db, teamId, project, reference)).environment);

  app.post(
    '/projects/:project/environments',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Add an environment to a project',
        tags,
        params: ProjectParams,
        body: NewEnvironment,
        response: { 201: Environment },
      },
    },
    async (request, reply) => {
      const { teamId } = request.identity;
      const wanted = { ...request.body, settings: await storedSettings(request.body.settings) };
      const id = await db.transaction().execute(async (tx) => {
        const project = await getProject(tx, teamId, request.params.project);
        const isFirst = (await listEnvironments(tx, [project.id])).length === 0;
        return placeEnvironment(deps, tx, project, wanted, isFirst);
      });
      return reply.code(201).send(await show(teamId, request.params.project, id));
    },
  );

  app.get(
    PATH,
    {
      ...requireScope('read'),
      schema: { summary: 'One environment', tags, params: EnvironmentParams, response: { 200: Environment } },
    },
    ({ identity, params }) => show(identity.teamId, params.project, params.environment),
  );

  app.patch(
    PATH,
    {
      ...requireScope('write'),
      schema: {
        summary: 'Change an environment',
        description:
          'Settings are merged into the existing ones (RFC 7396): nested objects merge, lists are replaced, null restores the default. In `edge.basicAuth` a user without password keeps the existing one. A background worker (`healthCheck.kind` `running`) has no domains: make an environment one with `domains` `[]` in the same change. Domains and edge settings are sent to the host at once: `edge` in the answer shows their state there. All other settings take effect with the next deployment.',
        tags,
        params: EnvironmentParams,
        body: EnvironmentChange,
        response: { 200: Environment },
      },
    },
    async ({ identity, params, body }) => {
      const users = await userChangeOf(body.settings ?? {});
      const changed = await db
        .transaction()
        .execute((tx) => change(deps, tx, { teamId: identity.teamId, ...params }, { ...body, users }));
      if (changed.edge) await scheduler.edgeChanged(changed.environmentId);
      return show(identity.teamId, params.project, params.environment);
    },
  );

  app.delete(
    PATH,
    {
      ...requireScope('write'),
      schema: {
        summary: 'Delete an environment',
        description:
          'Removes the environment from its host, and deletes its deployments and logs. Open connections of visitors are closed; an offline host removes it when it reconnects.',
        tags,
        params: EnvironmentParams,
        response: { 204: z.null() },
      },
    },
    async ({ identity, params }, reply) => {
      const { environment } = await getEnvironment(db, identity.teamId, params.project, params.environment);
      // First: the remaining rows go in one transaction, for which the history may be too large.
      await deleteHistory(db, environment.id);
      await scheduler.removeEnvironment(environment.id);
      return reply.code(204).send(null);
    },
  );
}

async function change(
  deps: HubDeps,
  tx: Db,
  at: { readonly teamId: string; readonly project: string; readonly environment: string },
  body: z.infer<typeof EnvironmentChange> & { readonly users: UserChange | null },
): Promise<{ readonly environmentId: string; readonly edge: boolean }> {
  const { project, environment } = await getEnvironment(tx, at.teamId, at.project, at.environment);
  const stored = readSettings(environment);
  const settings = mergeSettings(stored, withUsers(body.settings ?? {}, body.users, stored.edge.basicAuth));
  await checkPlan(tx, at.teamId, settings);
  const [first] = await listEnvironments(tx, [project.id]);
  const placed = await withDomain(
    deps,
    tx,
    settings,
    {
      project: project.slug,
      environment: environment.slug,
      environmentId: environment.id,
      isFirst: first?.id === environment.id,
    },
    stored,
  );
  const edgeChanged = !isSameEdge(edgePartOf(stored), edgePartOf(placed));
  const branch = body.branch ?? environment.branch;
  await updateEnvironment(tx, environment.id, { branch, settings: placed, edgeChanged });
  return { environmentId: environment.id, edge: edgeChanged };
}
