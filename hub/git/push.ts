/** Turns a push into deployments, one for each environment whose branch moved, and into messages for the pusher. */
import { OrkestrError } from '../../protocol/errors.ts';
import { consoleUrl } from '../console-url.ts';
import type { CoreDeps, HostLinks, Scheduler } from '../deps.ts';
import { storeTrouble } from '../store/database.ts';
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
const TAG = 'refs/tags/';
const NO_COMMIT = /^0+$/;

/** Who pushes to which project; identified by the secret that only this push's hook has. */
export interface Push {
  readonly projectId: string;
  readonly userId: string;
}

export interface RefUpdate {
  readonly reference: string;
  /** New commit; null when the ref was deleted. */
  readonly commit: string | null;
}

/** A line of post-receive's input: `<old> SP <new> SP <ref>`. */
export function parseUpdate(line: string): RefUpdate | undefined {
  const [, commit, reference] = /^[0-9a-f]{40} ([0-9a-f]{40}) (refs\/\S+)$/.exec(line) ?? [];
  if (commit === undefined || reference === undefined) return undefined;
  return { reference, commit: NO_COMMIT.test(commit) ? null : commit };
}

/** Returns the lines that git shows to the pusher. */
export async function deployPush(deps: PushDeps, push: Push, updates: readonly RefUpdate[]): Promise<string[]> {
  const environments = await listEnvironments(deps.db, [push.projectId]);
  const lines: string[] = [];
  for (const { reference, commit } of updates) {
    if (commit === null || !reference.startsWith(BRANCH)) continue;
    const branch = reference.slice(BRANCH.length);
    const mapped = environments.filter((environment) => environment.branch === branch);
    if (mapped.length === 0) lines.push(...notMapped(branch, environments));
    for (const environment of mapped) lines.push(...(await deployOrSay(deps, push, environment, commit)));
  }
  const isTag = ({ commit, reference }: RefUpdate): boolean => commit !== null && reference.startsWith(TAG);
  if (lines.length === 0 && updates.some(isTag)) return onlyTags(environments);
  return lines;
}

/** Deploy a push that the hub missed. Skips branches that have moved since, and commits that are already deployed. */
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
    const { commit, reference } = update;
    const missing = environments.filter(
      ({ id, branch }) => BRANCH + branch === reference && latest.get(id)?.commit !== commit,
    );
    if (commit === null || missing.length === 0) continue;
    if (!(await deps.repositories.hasAt(push.projectId, reference, commit))) continue;
    for (const environment of missing) await deploy(deps, push, environment, commit);
  }
}

/** Why a deployment could not be created. For internal errors, which are not disclosed, it points to the log. */
export function publicReason(error: unknown): string {
  const known = storeTrouble(error) ?? error;
  return known instanceof OrkestrError ? known.message : 'see the log of the hub.';
}

/** An error in one environment does not prevent the deployments of the others. */
async function deployOrSay(
  deps: PushDeps,
  push: Push,
  environment: Row<'environment'>,
  commit: string,
): Promise<string[]> {
  const { id, slug } = environment;
  try {
    return await deploy(deps, push, environment, commit);
  } catch (error) {
    deps.log.error({ err: error, environmentId: id }, 'no deployment could be made of a push');
    return [
      `orkestr: the push is stored, but it could not be deployed to ${slug}: ${publicReason(error)}`,
      `once that is fixed, run: orkestr deploy --environment ${slug}`,
    ];
  }
}

async function deploy(deps: PushDeps, push: Push, environment: Row<'environment'>, commit: string): Promise<string[]> {
  const id = await createUnlessGone(deps, push, environment, commit);
  const context = id === undefined ? undefined : await findContext(deps.db, id);
  if (context === undefined) return [`orkestr: ${environment.slug} has been deleted meanwhile`];
  const reason = await waitingFor(deps.db, deps.links, context);
  return [
    `orkestr: deployment ${context.deployment.id} of ${context.project.slug}/${environment.slug} queued`,
    ...(reason === undefined ? [] : [`waiting for ${reason}`]),
    `follow it: ${consoleUrl(deps.hubUrl(), context.deployment.id)}`,
  ];
}

/** Undefined: the environment is gone. */
async function createUnlessGone(
  { scheduler }: Pick<PushDeps, 'scheduler'>,
  { userId }: Push,
  { id: environmentId, branch }: Row<'environment'>,
  commit: string,
): Promise<string | undefined> {
  try {
    return await scheduler.create({ environmentId, trigger: 'push', commit, branch, userId });
  } catch (error) {
    if (error instanceof OrkestrError && error.code === 'ORK_NOT_FOUND') return undefined;
    throw error;
  }
}

function notMapped(branch: string, environments: readonly Row<'environment'>[]): string[] {
  return [`orkestr: no environment deploys the branch ${branch}; nothing to do`, ...branchesOf(environments)];
}

const onlyTags = (environments: readonly Row<'environment'>[]): string[] => [
  'orkestr: the tag is stored, but tags deploy nothing; push a branch',
  ...branchesOf(environments),
];

const branchesOf = (environments: readonly Row<'environment'>[]): string[] =>
  environments.map((environment) => `${environment.slug} deploys ${environment.branch}`);
