/** Fetches one exact commit from a remote that may or may not serve commits by id. */
import type { SimpleGit } from 'simple-git';
import { OrkestrError } from '../../protocol/errors.ts';
import { explainGitFailure } from '../../protocol/git-safety.ts';
import type { Source } from '../../protocol/job.ts';
import type { StepLog } from '../deployment/ports.ts';

/** Depths to fetch the branch with if the remote refuses ids; the last is git's "infinite" (fetch-options). */
const DEPTHS = [50, 1000, 2_147_483_647] as const;
/** Verbose, since a fetch of one commit prints nothing otherwise, and simple-git waits 50 ms longer after silence. */
const FETCH = [
  'fetch',
  '--verbose',
  '--no-tags',
  '--no-recurse-submodules',
  '--no-write-fetch-head',
  '--no-auto-maintenance',
];

/** @throws OrkestrError ORK_COMMIT_UNKNOWN, ORK_BRANCH_UNKNOWN, ORK_REPO_EMPTY; other failures as reported by git */
export async function fetchCommit(
  git: Pick<SimpleGit, 'raw'>,
  source: Source,
  commit: string,
  log: StepLog,
): Promise<void> {
  try {
    await git.raw(...FETCH, '--depth=1', '--', source.url, commit);
    return;
  } catch (error) {
    if (explainGitFailure(String(error)) !== 'ORK_COMMIT_UNKNOWN') throw error;
  }
  const heads = await git.raw('ls-remote', '--heads', '--', source.url);
  if (heads.trim() === '') throw new OrkestrError('ORK_REPO_EMPTY', 'The repository has no branch and no commit yet.');
  const branch = `refs/heads/${source.branch}`;
  if (!heads.split('\n').some((line) => line.endsWith(`\t${branch}`))) {
    throw new OrkestrError('ORK_BRANCH_UNKNOWN', `The repository has no branch "${source.branch}".`);
  }
  log.line('The server does not serve single commits; searching the branch instead.');
  for (const depth of DEPTHS) {
    await git.raw(...FETCH, `--depth=${depth}`, '--', source.url, branch);
    if (await hasCommit(git, commit)) return;
  }
  throw new OrkestrError('ORK_COMMIT_UNKNOWN', `The branch "${source.branch}" does not contain the commit ${commit}.`);
}

async function hasCommit(git: Pick<SimpleGit, 'raw'>, commit: string): Promise<boolean> {
  try {
    await git.raw('cat-file', '-e', `${commit}^{commit}`);
    return true;
  } catch {
    return false; // git's exit code says that the commit is not (yet) among those fetched
  }
}
