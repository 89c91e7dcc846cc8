/** Registry logins for private base images: write-only in the API, read only by the project's builds. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { notFound } from '../store/not-found.ts';
import { getProject } from '../store/projects.ts';
import { deleteRegistry, listRegistries, putRegistry } from '../store/registries.ts';
import { ProjectParams, RegistryParams } from './params.ts';
import { RegistryChange, RegistryEntry } from './schemas.ts';

/** Bounded because all of them travel in one job frame. */
const MAX_REGISTRIES = 20;

const PATH = '/projects/:project/registries';
const List = z.array(RegistryEntry);

export function registerRegistries(app: HubApp, { db, sealer, clock }: HubDeps): void {
  const tags = ['registries'];
  const list = async (projectId: string): Promise<RegistryEntry[]> =>
    (await listRegistries(db, projectId)).map(({ host, username, updated_at }) => ({
      host,
      username,
      updatedAt: updated_at,
    }));

  app.get(
    PATH,
    {
      ...requireScope('read'),
      schema: { summary: 'Registries with a login', tags, params: ProjectParams, response: { 200: List } },
    },
    async ({ identity, params }) => list((await getProject(db, identity.teamId, params.project)).id),
  );

  app.put(
    `${PATH}/:host`,
    {
      ...requireScope('write'),
      schema: {
        summary: 'Set the login for a registry',
        description: 'Passwords are never returned. The next deployment uses the login.',
        tags,
        params: RegistryParams,
        body: RegistryChange,
        response: { 200: List },
      },
    },
    async ({ identity, params, body }) => {
      const id = await db.transaction().execute(async (tx) => {
        const project = await getProject(tx, identity.teamId, params.project);
        await putRegistry(tx, sealer, project.id, { host: params.host, ...body }, clock.now().toISOString());
        if ((await listRegistries(tx, project.id)).length > MAX_REGISTRIES) {
          throw new OrkestrError(
            'ORK_TOO_LARGE',
            `A project can have logins for at most ${MAX_REGISTRIES} registries.`,
          );
        }
        return project.id;
      });
      return list(id);
    },
  );

  app.delete(
    `${PATH}/:host`,
    {
      ...requireScope('write'),
      schema: {
        summary: 'Remove the login for a registry',
        tags,
        params: RegistryParams,
        response: { 204: z.null() },
      },
    },
    async ({ identity, params }, reply) => {
      const project = await getProject(db, identity.teamId, params.project);
      if (!(await deleteRegistry(db, project.id, params.host))) throw notFound('registry', params.host);
      return reply.code(204).send(null);
    },
  );
}
