/**
 * Resolves a branch to its commit before a deployment starts: in the hub's own remote, or at the external one by
 * ls-remote.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import {
  explainGitFailure,
  gitConfigFile,
  gitEnvironment,
  hardenedGitConfig,
  writePrivateFile,
} from '../../protocol/git-safety.ts';
import { BranchName, GitUrl } from '../../protocol/ids.ts';
import type { CommitResolver, CoreDeps } from '../deps.ts';
import { getEnvironmentById } from '../store/environments.ts';
import { openRepositoryAuth, type RepositoryAuth } from '../store/projects.ts';
import { type ConcurrencyLimits, ConcurrencyLimit } from '../concurrency-limit.ts';
import type { Row } from '../store/schema.ts';
import { branchUnknown, type Repositories } from './repositories.ts';
import { runGit } from './run.ts';
import { redirectOf, type VettedRemote, vetRemote } from './vetted-remote.ts';

/** Time limit for the answer of a git server, ms. */
const TIMEOUT_MS = 20_000;
const MAX_EVIDENCE = 10;
/** Maximum number of redirects to follow. */
const MAX_HOPS = 3;
/** Concurrent lookups, in total and per project: a server may answer slowly, even on purpose. */
const CONCURRENCY: ConcurrencyLimits = { inAll: 32, ofOne: 4 };

interface ResolverDeps extends CoreDeps {
  readonly repositories: Repositories;
}

export function makeCommitResolver(deps: ResolverDeps, limits = CONCURRENCY): CommitResolver {
  const { repositories } = deps;
  const limit = new ConcurrencyLimit(limits, {
    inAll: 'The hub cannot read the branches of more repositories at the same time. Try again soon.',
    ofOne: "The hub is already reading the branches of this project's repository. Try again in a moment.",
  });
  return {
    async resolve(environmentId) {
      const { project, environment } = await getEnvironmentById(deps.db, environmentId);
      const { branch } = environment;
      const commit = await limit.run(project.id, async () => {
        if (project.repository_url !== null) return resolveRemote(deps, project, project.repository_url, branch);
        await repositories.create(project.id);
        return repositories.resolve(project.id, branch);
      });
      return { commit, branch };
    },
    async checkCommit(environmentId, commit) {
      const { project } = await getEnvironmentById(deps.db, environmentId);
      if (project.repository_url !== null) return; // the clone step detects it: a check here would need a fetch
      if (await limit.run(project.id, () => repositories.hasCommit(project.id, commit))) return;
      throw new OrkestrError('ORK_COMMIT_UNKNOWN', `The repository has no commit ${commit}.`);
    },
  };
}

async function resolveRemote(
  deps: ResolverDeps,
  project: Row<'project'>,
  url: string,
  branch: string,
): Promise<string> {
  // Both were validated when stored; this is the last check before they become arguments.
  if (!GitUrl.safeParse(url).success) throw new OrkestrError('ORK_URL_REFUSED', 'The repository URL is not allowed.');
  if (!BranchName.safeParse(branch).success) throw new OrkestrError('ORK_REF_REFUSED', 'The branch is not allowed.');
  const auth = openRepositoryAuth(deps.sealer, project);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let remote = await vetRemote(deps, url, signal);
  for (let hops = 0; ; hops += 1) {
    try {
      return await askFor(deps, remote, auth, branch);
    } catch (error) {
      // git would send the token to the target of the redirect.
      if (auth !== undefined || hops === MAX_HOPS || !isRedirect(error)) throw error;
      const next = await redirectOf(remote, signal);
      if (next === undefined) throw error;
      remote = await vetRemote(deps, next, signal);
    }
  }
}

const isRedirect = (error: unknown): boolean =>
  error instanceof OrkestrError && error.evidence.some((line) => /returned error: 30[1278]/.test(line));

function askFor(
  deps: ResolverDeps,
  remote: VettedRemote,
  auth: RepositoryAuth | undefined,
  branch: string,
): Promise<string> {
  const reference = `refs/heads/${branch}`;
  return withConfig(deps, remote.url, auth, async (env) => {
    const lines = (await listRemote(env, remote, [reference])).split('\n');
    const commit = lines.map((line) => line.split('\t')).find(([, name]) => name === reference)?.[0];
    if (commit !== undefined && /^[0-9a-f]{40}$/.test(commit)) return commit;
    throw branchUnknown(branch, await listRemote(env, remote, ['refs/heads/*']));
  });
}

/** Runs `work` with a git config of its own, which may hold a token: in a private folder that is deleted afterwards. */
async function withConfig<T>(
  deps: ResolverDeps,
  url: string,
  auth: RepositoryAuth | undefined,
  work: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const allowHttp = deps.config.allowHttpRepositories;
  const home = await mkdtemp(join(deps.repositories.home, 'resolve-'));
  try {
    writePrivateFile(
      gitConfigFile(home),
      hardenedGitConfig({ allowHttp, ...(auth && { credentials: { url, ...auth } }) }),
    );
    return await work(gitEnvironment({ home, allowHttp }));
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function listRemote(
  env: Record<string, string>,
  remote: VettedRemote,
  patterns: readonly string[],
): Promise<string> {
  const config = remote.config.flatMap((line) => ['-c', line]);
  const argv = [...config, 'ls-remote', '--quiet', '--', remote.url, ...patterns];
  const listed = await runGit(argv, { env, timeoutMs: TIMEOUT_MS });
  if (listed.ok) return listed.stdout;
  const code = explainGitFailure(listed.stderr);
  const evidence = listed.stderr.trim().split('\n').slice(-MAX_EVIDENCE);
  throw new OrkestrError(code, `Could not list the branches of the repository: ${evidence.at(-1) ?? 'no answer'}`, {
    evidence,
  });
}
