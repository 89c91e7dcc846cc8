/**
 * Protects commits of releases that no branch contains any more, after a forced push or a deleted branch: git would
 * prune them after two weeks. Each gets a hidden ref. The refs are updated with each push, since only pushes prune.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Repositories } from './repositories.ts';
import type { GitResult } from './run.ts';

/** Each ref below it is named by its commit. Hidden from pushes and fetches. */
const PREFIX = 'refs/orkestr/kept/';
/**
 * Long enough to walk a history that is on no branch: a walk that is cut off must not pass for an incomplete history.
 */
const TIMEOUT_MS = 60_000;

/**
 * Creates refs for the needed commits that exist, and deletes those of others. Call it in the turn of a push.
 * @throws OrkestrError ORK_INTERNAL; nothing may be pruned then
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

/** The commits whose commit object exists. */
async function existing(git: Git, commits: readonly string[]): Promise<string[]> {
  if (commits.length === 0) return [];
  const looked = await mustRun(git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], lines(commits)));
  return linesOf(looked).flatMap((line) => /^([0-9a-f]{40}) commit$/.exec(line)?.[1] ?? []);
}

/**
 * The commits whose objects are all present: a ref to a partly pruned commit would make every repack and backup fail.
 */
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
