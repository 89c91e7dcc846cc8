/** The port SourceControl: git through simple-git, hardened by protocol/git-safety.ts. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SimpleGit } from 'simple-git';
import { OrkestrError } from '../../protocol/errors.ts';
import {
  explainGitFailure,
  gitConfigFile,
  gitEnvironment,
  hardenedGitConfig,
  writePrivateFile,
} from '../../protocol/git-safety.ts';
import { BranchName, CommitSha, GitUrl } from '../../protocol/ids.ts';
import type { Source } from '../../protocol/job.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import type { Checkout } from '../../protocol/steps.ts';
import type { SourceControl } from '../deployment/ports.ts';
import { together } from '../lib/together.ts';
import { fetchCommit } from './fetch.ts';
import { leftOut } from './left-out.ts';
import { findEscapingLink } from './links.ts';
import { type CheckoutLimits, measureTree, watchFolder } from './quota.ts';

const MIB = 1_048_576;
const DEFAULT_LIMITS: CheckoutLimits = { bytes: 1024 * MIB, files: 100_000, timeoutMs: 10 * 60_000 };
const MAX_TEXT = 200;

export interface SourceControlOptions {
  /** A folder that only the agent can access: holds git's HOME and config (with the token) during a checkout. */
  readonly privateDirectory: string;
  /** URL at which this host reaches its hub; null or absent: the hub's public URL. */
  readonly hubUrl?: string | null;
  readonly limits?: Partial<CheckoutLimits>;
  /** PEM bundle for verifying servers; absent: git's own. */
  readonly caFile?: string;
}

type CheckoutRequest = Parameters<SourceControl['checkout']>[0];

export function makeSourceControl(options: SourceControlOptions): SourceControl {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  return {
    async checkout(asked) {
      refuseUnsafe(asked.source, asked.commit);
      const request = { ...asked, source: asReached(asked.source, options.hubUrl ?? null) };
      await mkdir(options.privateDirectory, { recursive: true, mode: 0o700 });
      const home = await mkdtemp(join(options.privateDirectory, 'git-'));
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(tooSlow(limits)), limits.timeoutMs);
      const cancel = (): void => stop.abort(new OrkestrError('ORK_CANCELLED', 'The checkout was cancelled.'));
      if (request.signal.aborted) cancel();
      request.signal.addEventListener('abort', cancel, { once: true });
      try {
        const env = prepareEnvironment(home, request.source, options.caFile);
        return await checkoutInto(request, env, limits, stop);
      } catch (error) {
        // The abort reason says more than git's own error.
        throw stop.signal.aborted ? stop.signal.reason : asCloneError(error, request.source);
      } finally {
        clearTimeout(timer);
        request.signal.removeEventListener('abort', cancel);
        await rm(home, { recursive: true, force: true });
      }
    },
  };
}

async function checkoutInto(
  request: CheckoutRequest,
  env: Readonly<Record<string, string>>,
  limits: CheckoutLimits,
  stop: AbortController,
): Promise<Checkout> {
  const { directory, commit, source, log } = request;
  stop.signal.throwIfAborted();
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const git = await openGit(directory, env, stop.signal);
  const unwatch = watchFolder(directory, limits, stop, log);
  try {
    // No command uses --quiet, see fetch.ts. Without a template, git copies no hooks and samples, which would be
    // deleted with the history anyway.
    await git.raw('init', '--template=', '--initial-branch=orkestr');
    log.line(`Fetching ${commit} of ${source.url} (${source.branch})`);
    await fetchCommit(git, source, commit, log);
  } finally {
    unwatch();
  }
  const [size, { subject, author, seconds }] = await together(
    measureTree(directory, commit, env, limits, stop.signal),
    describeCommit(git, commit),
  );
  await git.raw('checkout', '--force', '--detach', commit);
  for (const line of await leftOut(git, directory, size)) log.line(line);
  await refuseEscapes(directory);
  // The history is no longer needed, and must not end up in an image.
  await rm(join(directory, '.git'), { recursive: true, force: true });
  log.line(`Checked out ${commit.slice(0, 12)} "${cut(subject)}": ${size.files} files, ${formatBytes(size.bytes)}`);
  return {
    commit,
    subject: cut(subject),
    author: cut(author),
    files: size.files,
    bytes: size.bytes,
    ...committedAt(seconds),
  };
}

interface Described {
  readonly subject: string;
  readonly author: string;
  /** Seconds since the epoch, as the commit claims. */
  readonly seconds: number;
}

/** Reads only the commit. git-show walks its whole tree even with --no-patch, and a tree bomb would take all memory. */
async function describeCommit(git: Pick<SimpleGit, 'raw'>, commit: string): Promise<Described> {
  const told = await git.raw('rev-list', '--max-count=1', '--format=%s%x00%an%x00%ct', commit);
  // The first line is the commit's id, which older versions of git always print.
  const [subject = '', author = '', seconds] = told
    .slice(told.indexOf('\n') + 1)
    .trim()
    .split('\0');
  return { subject, author, seconds: Number(seconds) };
}

/** A commit may claim any time; one that is no valid date is left out. */
function committedAt(seconds: number): Pick<Checkout, 'committedAt'> {
  const time = new Date(seconds * 1000);
  return seconds >= 0 && time.getUTCFullYear() < 10_000 ? { committedAt: time.toISOString() } : {};
}

/** @throws OrkestrError ORK_URL_REFUSED, ORK_REF_REFUSED */
function refuseUnsafe(source: Source, commit: string): void {
  if (!GitUrl.safeParse(source.url).success) {
    throw new OrkestrError('ORK_URL_REFUSED', 'The URL of the repository is not a plain https URL.');
  }
  if (!BranchName.safeParse(source.branch).success || !CommitSha.safeParse(commit).success) {
    throw new OrkestrError('ORK_REF_REFUSED', 'The branch or commit is not a plain name or a full commit id.');
  }
}

/**
 * Rewrites URLs of the hub's own repositories to the address at which this host reaches the hub: the public address may
 * be unreachable from here (a router without NAT loopback, a VPN), or may have changed since the job was created.
 */
function asReached(source: Source, hubUrl: string | null): Source {
  if (source.origin !== 'hub' || hubUrl === null) return source;
  return { ...source, url: new URL(new URL(source.url).pathname, hubUrl).href };
}

/** The environment of git. Writes the token to a config file that only the agent can read. */
function prepareEnvironment(home: string, source: Source, caFile: string | undefined): Record<string, string> {
  // The hub decides which http URLs are allowed (private networks) and has signed this one; for the hub's own URL, the
  // host joined by http.
  const allowHttp = source.url.startsWith('http://');
  const credentials = source.auth === undefined ? undefined : { url: source.url, ...source.auth };
  writePrivateFile(gitConfigFile(home), hardenedGitConfig({ allowHttp, ...(credentials && { credentials }) }));
  return gitEnvironment({ home, allowHttp, ...(caFile !== undefined && { caFile }) });
}

async function openGit(
  directory: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<SimpleGit> {
  const { simpleGit } = await import('simple-git');
  return simpleGit({
    baseDir: directory,
    abort: signal,
    maxConcurrentProcesses: 1,
    // The guard is for inherited environments; this one is complete and our own.
    allowEnvironment: Object.keys(env),
    // GIT_CONFIG_GLOBAL is our hardened file with the token, which must not be in argv. The template is empty.
    unsafe: { allowUnsafeConfigPaths: true, allowUnsafeTemplateDir: true },
  }).env(env);
}

async function refuseEscapes(directory: string): Promise<void> {
  const link = await findEscapingLink(directory);
  if (link !== null) throw new OrkestrError('ORK_REPO_UNSAFE', `The link ${cut(link)} points outside the repository.`);
}

function tooSlow(limits: CheckoutLimits): OrkestrError {
  const seconds = Math.round(limits.timeoutMs / 1000);
  return new OrkestrError('ORK_REPO_UNREACHABLE', `The repository could not be fetched within ${seconds} s.`);
}

function asCloneError(error: unknown, source: Source): unknown {
  if (error instanceof OrkestrError || !(error instanceof Error)) return error;
  const lines = error.message.trim().split('\n').slice(-10);
  // git reports the cause first, then its consequences.
  const reason = lines.find((line) => /^(?:fatal|error|remote): /.test(line)) ?? lines[0] ?? '';
  const message = `git could not fetch ${source.url}: ${reason.slice(0, 500)}`;
  const code = isDiskFull(error) ? 'ORK_DISK_FULL' : explainGitFailure(error.message);
  return new OrkestrError(code, message, { evidence: lines, cause: error });
}

const cut = (text: string): string => text.slice(0, MAX_TEXT);
const formatBytes = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
