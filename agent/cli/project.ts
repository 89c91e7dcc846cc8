/** Which project a command means: by its name, if it is live here, or by its id. Needs no running agent and no hub. */
import { OrkestrError } from '../../protocol/errors.ts';
import { Slug, Uuid } from '../../protocol/ids.ts';
import { jobOf } from '../journal/job-of.ts';
import type { Serving } from '../journal/serving.ts';

/** A project as the hub named it. `slug` is null if this host has no readable job of it. */
export interface NamedProject {
  readonly id: string;
  readonly slug: string | null;
}

/**
 * An id is believed even if nothing of that project has ever been deployed here: only the hub knows all projects.
 * @param serving null: nothing has been deployed on this host yet
 * @throws OrkestrError ORK_INVALID, ORK_NOT_FOUND with the live projects and the way to the id
 */
export function findProject(serving: Serving | null, named: string): NamedProject {
  const live = liveProjects(serving);
  const id = Uuid.safeParse(named.toLowerCase()).data;
  if (id !== undefined) return { id, slug: live.get(id) ?? null };
  if (!Slug.safeParse(named).success) {
    throw new OrkestrError('ORK_INVALID', `${named} is neither the name nor the id of a project.`);
  }
  const found = [...live].find(([, slug]) => slug === named);
  if (found !== undefined) return { id: found[0], slug: named };
  const way = `Before its first deployment, give its id, which \`orkestr project show ${named}\` prints.`;
  throw new OrkestrError('ORK_NOT_FOUND', `No project called ${named} is live on this host. ${way}`, {
    evidence: [`Live here: ${[...live.values()].toSorted().join(', ') || 'nothing'}`],
  });
}

/** Ids of the live projects with their names. */
function liveProjects(serving: Serving | null): ReadonlyMap<string, string> {
  return new Map(
    (serving?.allLive() ?? []).flatMap(({ deploymentId }): [string, string][] => {
      const job = serving === null ? null : jobOf(serving, deploymentId);
      return job === null ? [] : [[job.project.id, job.project.slug]];
    }),
  );
}
