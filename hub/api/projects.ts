/** Projects of the team. */
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { checkProjectSlug } from '../domains.ts';
import { listEnvironments } from '../store/environments.ts';
import { deleteHistory } from '../store/history.ts';
import { getProject, insertProject, listProjects, sealRepositoryAuth, setRepository } from '../store/projects.ts';
import type { Row } from '../store/schema.ts';
import { deleteStrayRepository } from '../store/stray-repositories.ts';
import { ProjectParams } from './params.ts';
import { storedSettings } from './edge-users.ts';
import { placeEnvironment } from './place-environment.ts';
import { invalid } from './problem.ts';
import { showProject, showProjects } from './project-view.ts';
import { NewProject, Project, ProjectChange } from './schemas.ts';

export function registerProjects(app: HubApp, deps: HubDeps): void {
  const { db, scheduler, git } = deps;
  const tags = ['projects'];

  app.get(
    '/projects',
    { ...requireScope('read'), schema: { summary: 'Projects of the team', tags, response: { 200: z.array(Project) } } },
    async (request) => showProjects(deps, await listProjects(db, request.identity.teamId)),
  );

  app.get(
    '/projects/:project',
    {
      ...requireScope('read'),
      schema: { summary: 'One project', tags, params: ProjectParams, response: { 200: Project } },
    },
    async (request) => showProject(deps, await getProject(db, request.identity.teamId, request.params.project)),
  );

  app.post(
    '/projects',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Create a project with its first environment',
        description: 'Without `repository` it gets a git remote of this hub to push to.',
        tags,
        body: NewProject,
        response: { 201: Project },
      },
    },
    async (request, reply) => {
      const project = newProject(deps, request.identity.teamId, request.body);
      const { environment: given } = request.body;
      const environment = { ...given, settings: await storedSettings(given.settings) };
      // The repository first: a stored project always has one, and a repository without a project is tracked as stray.
      if (project.origin === 'hub') await git.createRepository(project.id);
      try {
        await db.transaction().execute(async (tx) => {
          await insertProject(tx, project);
          await deleteStrayRepository(tx, project.id);
          await placeEnvironment(deps, tx, project, environment, true);
        });
      } catch (error) {
        if (project.origin === 'hub') await git.removeRepository(project.id);
        throw error;
      }
      return reply.code(201).send(await showProject(deps, project));
    },
  );

  app.patch(
    '/projects/:project',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Change the repository of an external project, or the token that reads it',
        description:
          'Omitted fields stay as they are; `auth` null removes the token. A token belongs to the URL that it was given for: another URL needs `auth` too. The change takes effect with the next deployment.',
        tags,
        params: ProjectParams,
        body: ProjectChange,
        response: { 200: Project },
      },
    },
    async ({ identity, params, body }) => {
      const id = await db.transaction().execute(async (tx) => {
        const project = await getProject(tx, identity.teamId, params.project);
        await setRepository(tx, project.id, changedRepository(deps, project, body.repository));
        return project.id;
      });
      return showProject(deps, await getProject(db, identity.teamId, id));
    },
  );

  app.delete(
    '/projects/:project',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Delete a project',
        description: 'Removes all its environments from their hosts, and deletes its deployments, logs and git remote.',
        tags,
        params: ProjectParams,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const project = await getProject(db, request.identity.teamId, request.params.project);
      // First: the remaining rows go in one transaction, for which the history may be too large.
      for (const { id } of await listEnvironments(db, [project.id])) await deleteHistory(db, id);
      await scheduler.removeProject(project.id);
      if (project.origin === 'hub') await git.removeRepository(project.id);
      return reply.code(204).send(null);
    },
  );
}

function newProject(deps: HubDeps, teamId: string, wanted: z.infer<typeof NewProject>): Row<'project'> {
  checkProjectSlug(wanted.slug);
  const id = randomUUIDv7();
  const { repository } = wanted;
  if (repository !== undefined) checkUrl(repository.url, deps.config.allowHttpRepositories);
  return {
    id,
    team_id: teamId,
    slug: wanted.slug,
    origin: repository === undefined ? 'hub' : 'external',
    repository_url: repository?.url ?? null,
    repository_auth: repository?.auth === undefined ? null : sealRepositoryAuth(deps.sealer, id, repository.auth),
    created_at: deps.clock.now().toISOString(),
  };
}

/** @throws OrkestrError ORK_INVALID, ORK_URL_REFUSED */
function changedRepository(
  deps: HubDeps,
  { id, slug, repository_url, repository_auth }: Row<'project'>,
  { url, auth }: z.infer<typeof ProjectChange>['repository'],
): Pick<Row<'project'>, 'repository_url' | 'repository_auth'> {
  if (repository_url === null) {
    throw invalid([`body.repository: the code of ${slug} is in the hub's own git remote, and stays there`]);
  }
  if (url !== undefined && url !== repository_url) {
    checkUrl(url, deps.config.allowHttpRepositories);
    // Otherwise a user with write access could obtain the token by pointing the URL at their own server.
    if (auth === undefined && repository_auth !== null) {
      throw invalid([
        'body.repository.auth: the current token is for the previous URL; give a token for this URL, or null',
      ]);
    }
  }
  const kept = { repository_url: url ?? repository_url, repository_auth };
  if (auth === undefined) return kept;
  return { ...kept, repository_auth: auth && sealRepositoryAuth(deps.sealer, id, auth) };
}

function checkUrl(url: string, allowHttp: boolean): void {
  if (!url.startsWith('https:') && !allowHttp) {
    throw new OrkestrError('ORK_URL_REFUSED', 'This hub fetches repositories over https only.');
  }
}
