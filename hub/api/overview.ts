/** Data of the console's first page, which polls it: all environments, without their settings. */
import { z } from 'zod';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { environmentUrls } from '../domains.ts';
import { downApps } from '../store/down-apps.ts';
import { latestDeployments, listPlaces, liveDeployments } from '../store/environments.ts';
import { listProjects } from '../store/projects.ts';
import { downStateOf } from './down-state.ts';
import { showLatest } from './project-view.ts';
import { ProjectInShort } from './schemas.ts';

export function registerOverview(app: HubApp, deps: HubDeps): void {
  app.get(
    '/overview',
    {
      ...requireScope('read'),
      schema: {
        summary: 'Projects of the team in short',
        description:
          'Each environment with what serves there and what was asked for last, and nothing that takes the hub long: for those who ask often.',
        tags: ['projects'],
        response: { 200: z.array(ProjectInShort) },
      },
    },
    (request) => showOverview(deps, request.identity.teamId),
  );
}

async function showOverview({ db, config }: HubDeps, teamId: string): Promise<ProjectInShort[]> {
  const projects = await listProjects(db, teamId);
  const places = await listPlaces(db, teamId);
  const ids = places.map(({ id }) => id);
  const [live, latest] = [await liveDeployments(db, ids), await latestDeployments(db, ids)];
  const down = await downApps(db, ids);
  const ofProject = Map.groupBy(places, (place) => place.project_id);
  return projects.map((project) => ({
    id: project.id,
    slug: project.slug,
    environments: (ofProject.get(project.id) ?? []).map(({ id, slug, branch, domains }) => ({
      id,
      slug,
      branch,
      urls: environmentUrls({ domains }, config.appsUrl),
      liveDeploymentId: live.get(id) ?? null,
      down: downStateOf(down.get(id), live.get(id)),
      latestDeployment: showLatest(latest.get(id)),
    })),
  }));
}
