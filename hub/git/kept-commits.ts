/**
 * Commits that are kept though no branch has them any more: a forced push or a deleted branch takes them away, and git prunes
 * them after two weeks. Each has a ref that nobody but git sees. They are looked at with each push, for nothing else prunes.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Repositories } from './repositories.ts';
import type { GitResult } from './run.ts';

/** Below it, each ref is called by its commit. Hidden from all who push and fetch. */
const PREFIX = 'refs/orkestr/kept/';
/** Long enough to walk a history that no branch has: one that is cut off here would be taken for one that is not whole. */
const TIMEOUT_MS = 60_000;

/**
 * Gives the commits that are needed and there a ref each, and takes away those of others. Call it in the turn of a push.
 * @throws OrkestrError ORK_INTERNAL: then nothing may be pruned
 */
export async function keepCommits(
  repositories: Repositories,
  projectId: string,
  needed: ReadonlySet<string>,
): Promise<void> {
  const git = (argv: readonly string[], input?: string): Promise<GitResult> =>
    repositories.run(projectId, argv, { timeoutMs: TIMEOUT_MS, ...(input !== undefined && { input }) });
  const listed = await mustRun(git(['for-each-ref', '--format=%(refname)', PREFIX]));
  const kept = new Set(linesOf(listed).map((name) => name.slice(PREFIX.length)));
  const missing = [...needed].filter((commit) => !kept.has(commit));
  const found = await whole(git, await existing(git, missing));
  const changes = [
    ...found.map((commit) => `create ${PREFIX}${commit} ${commit}`),
    ...[...kept].filter((commit) => !needed.has(commit)).map((commit) => `delete ${PREFIX}${commit}`),
  ];
  if (changes.length === 0) return;
  await mustRun(git(['update-ref', '--stdin'], changes.map((line) => `${line}\n`).join('')));
}

type Git = (argv: readonly string[], input?: string) => Promise<GitResult>;

/** Those of which the repository has the commit itself. */
async function existing(git: Git, commits: readonly string[]): Promise<string[]> {
  if (commits.length === 0) return [];
  const looked = await mustRun(git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], lines(commits)));
  return linesOf(looked).flatMap((line) => /^([0-9a-f]{40}) commit$/.exec(line)?.[1] ?? []);
}

/** Those of which all is there: a ref to a commit that git has pruned the half of would end every packing and every backup. */
async function whole(git: Git, commits: readonly string[]): Promise<string[]> {
  if (commits.length === 0) return [];
  const walked = await git(['rev-list', '--quiet', '--objects', '--stdin', '--not', '--all'], lines(commits));
  if (walked.ok) return [...commits];
  if (walked.stopped) throw notKept(walked);
  if (commits.length === 1) return [];
  const half = Math.ceil(commits.length / 2);
  return [...(await whole(git, commits.slice(0, half))), ...(await whole(git, commits.slice(half)))];
}

async function mustRun(running: Promise<GitResult>): Promise<string> {
  const ended = await running;
  if (ended.ok) return ended.stdout;
  throw notKept(ended);
}

const notKept = ({ stderr }: GitResult): OrkestrError =>
  new OrkestrError('ORK_INTERNAL', `The commits of releases could not be kept: ${stderr.trim()}`);

const lines = (commits: readonly string[]): string => commits.map((commit) => `${commit}\n`).join('');
const linesOf = (text: string): string[] => text.split('\n').filter(Boolean);
