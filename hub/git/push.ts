/** From a push to deployments: one for each environment whose branch has moved, and the words for who pushed. */
import { consoleUrl } from '../api/console-url.ts';
import type { CoreDeps, HostLinks, Scheduler } from '../deps.ts';
import { findContext } from '../store/deployments.ts';
import { latestDeployments, listEnvironments } from '../store/environments.ts';
import { waitingFor } from '../scheduler/waiting.ts';
import type { Row } from '../store/schema.ts';
import type { Repositories } from './repositories.ts';

interface PushDeps extends CoreDeps {
  readonly scheduler: Pick<Scheduler, 'create'>;
  readonly links: HostLinks;
}

const BRANCH = 'refs/heads/';
const NO_COMMIT = /^0+$/;

/** Who pushes to what: known by the secret that only this push's hook has. */
export interface Push {
  readonly projectId: string;
  readonly userId: string;
}

export interface RefUpdate {
  readonly reference: string;
  /** New commit; null when the ref was deleted. */
  readonly commit: string | null;
}

/** A line of post-receive: `<old> SP <new> SP <ref>`. */
export function parseUpdate(line: string): RefUpdate | undefined {
  const [, commit, reference] = /^[0-9a-f]{40} ([0-9a-f]{40}) (refs\/\S+)$/.exec(line) ?? [];
  if (commit === undefined || reference === undefined) return undefined;
  return { reference, commit: NO_COMMIT.test(commit) ? null : commit };
}

/** Answers what the person who pushes is to read. */
export async function deployPush(deps: PushDeps, push: Push, updates: readonly RefUpdate[]): Promise<string[]> {
  const environments = await listEnvironments(deps.db, [push.projectId]);
  const lines: string[] = [];
  for (const { reference, commit } of updates) {
    if (commit === null || !reference.startsWith(BRANCH)) continue;
    const branch = reference.slice(BRANCH.length);
    const mapped = environments.filter((environment) => environment.branch === branch);
    if (mapped.length === 0) lines.push(...notMapped(branch, environments));
    for (const environment of mapped) lines.push(...(await deploy(deps, push, environment, commit)));
  }
  return lines;
}

/** The same for one that nobody heard of at its time: what has moved on since, or was deployed all the same, is left alone. */
export async function deployMissed(
  deps: PushDeps & { readonly repositories: Pick<Repositories, 'hasAt'> },
  push: Push,
  updates: readonly RefUpdate[],
): Promise<void> {
  const environments = await listEnvironments(deps.db, [push.projectId]);
  const latest = await latestDeployments(
    deps.db,
    environments.map(({ id }) => id),
  );
  for (const update of updates) {
    const mapped = environments.filter(({ branch }) => BRANCH + branch === update.reference);
    if (update.commit === null || mapped.every(({ id }) => latest.get(id)?.commit === update.commit)) continue;
    if (await deps.repositories.hasAt(push.projectId, update.reference, update.commit))
      await deployPush(deps, push, [update]);
  }
}

async function deploy(deps: PushDeps, push: Push, environment: Row<'environment'>, commit: string): Promise<string[]> {
  const id = await deps.scheduler.create({
    environmentId: environment.id,
    trigger: 'push',
    commit,
    branch: environment.branch,
    userId: push.userId,
  });
  const context = await findContext(deps.db, id);
  if (context === undefined) return [`orkestr: ${environment.slug} was deleted meanwhile`];
  const reason = await waitingFor(deps.db, deps.links, context);
  return [
    `orkestr: deployment ${id} of ${context.project.slug}/${environment.slug} queued`,
    ...(reason === undefined ? [] : [`it waits for ${reason}`]),
    `follow it: ${consoleUrl(deps.hubUrl(), id)}`,
  ];
}

function notMapped(branch: string, environments: readonly Row<'environment'>[]): string[] {
  return [
    `orkestr: no environment deploys the branch ${branch}; nothing to do`,
    ...environments.map((environment) => `${environment.slug} deploys ${environment.branch}`),
  ];
}
