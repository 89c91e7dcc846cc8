/** The bare repositories of the hub's own git remote: one per project, below the state folder. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { fsckTolerance, gitConfigFile, gitEnvironment, hardenedGitConfig } from '../../protocol/git-safety.ts';
import { runGit, type GitResult, type RunOptions } from './run.ts';

const TIMEOUT_MS = 20_000;
const PRUNE_MS = 10 * 60_000;
/** The folder in which git keeps the objects of a push until it has all (its tmp-objdir.c); the shorter name is from before 2.35. */
const UNFINISHED = /^objects\/(?:tmp_objdir-)?incoming-/;
/** What a packing of refs that was killed leaves, and every later one ends on. */
const UNFINISHED_REFS = ['packed-refs.lock', 'packed-refs.new'];
/** What a file or folder takes of a usual disk beside its bytes, at most: a ref has 41 of them, and there may be many. */
const BLOCK_BYTES = 4096;
/** Each is a file. */
const MOST_LOOSE_REFS = 200;
const PACK_REFS_MS = 60_000;
/** At the end of the name of one that is being removed. */
const GOING = '.going';
/** Branches named in an error at most. */
const MOST_NAMED = 20;

export class Repositories {
  /** Folder of all repositories: GIT_PROJECT_ROOT of the backend. */
  readonly root: string;
  readonly hooksFolder: string;
  /** For HOMEs of git's processes that read elsewhere; what a killed hub left in it is gone with the next start. */
  readonly home: string;
  /** HOME of those that work on the repositories. */
  readonly #serverHome: string;

  constructor(stateFolder: string) {
    this.root = join(stateFolder, 'git');
    this.hooksFolder = join(stateFolder, 'git-hooks');
    this.home = join(stateFolder, 'git-home');
    this.#serverHome = join(stateFolder, 'git-server');
  }

  /** Write folders and the one config that all repositories are served under. */
  async prepare(): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
    for (const folder of [this.root, this.hooksFolder, this.home, this.#serverHome]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    await writeFile(gitConfigFile(this.#serverHome), serverConfig(this.hooksFolder), { mode: 0o600 });
  }

  /** The environment of every git child that works on them. */
  get env(): Record<string, string> {
    return gitEnvironment({ home: this.#serverHome });
  }

  path(projectId: string): string {
    return join(this.root, `${projectId}.git`);
  }

  /** Make the empty repository; there already is fine. */
  async create(projectId: string): Promise<void> {
    const path = this.path(projectId);
    if (existsSync(join(path, 'HEAD'))) return;
    const made = await this.#git(['init', '--bare', '--quiet', '--template=', '--initial-branch=main', '--', path]);
    if (!made.ok) throw new OrkestrError('ORK_INTERNAL', `The repository could not be created: ${made.stderr.trim()}`);
  }

  /** At once for all who look for it, also in the middle of a backup; then file by file. */
  async remove(projectId: string): Promise<void> {
    const path = this.path(projectId);
    const going = `${path}${GOING}`;
    // Of one that was killed.
    await rm(going, { recursive: true, force: true });
    if (existsSync(path)) await rename(path, going);
    await rm(going, { recursive: true, force: true });
  }

  /** Names of their folders. */
  async list(): Promise<string[]> {
    const names = existsSync(this.root) ? await readdir(this.root) : [];
    return names.filter((name) => !name.endsWith(GOING));
  }

  /** The commit that a branch is at. @throws OrkestrError ORK_BRANCH_UNKNOWN, ORK_REPO_EMPTY */
  async resolve(projectId: string, branch: string): Promise<string> {
    const found = await this.run(projectId, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}^{commit}`]);
    if (found.ok) return found.stdout.trim();
    const branches = await this.run(projectId, ['for-each-ref', '--format=%(refname)', 'refs/heads']);
    throw branchUnknown(branch, branches.stdout);
  }

  /** Whether a ref, named in full, is at that commit now. */
  async hasAt(projectId: string, reference: string, commit: string): Promise<boolean> {
    const found = await this.run(projectId, ['rev-parse', '--verify', '--quiet', reference]);
    return found.ok && found.stdout.trim() === commit;
  }

  async hasCommit(projectId: string, commit: string): Promise<boolean> {
    return (await this.run(projectId, ['cat-file', '-e', `${commit}^{commit}`])).ok;
  }

  /** Bytes on disk, rather too many than too few, without what a push has not finished. */
  async size(projectId: string): Promise<number> {
    const path = this.path(projectId);
    const names = await readdir(path, { recursive: true });
    let bytes = 0;
    for (const name of names) if (!UNFINISHED.test(name)) bytes += await sizeOf(join(path, name));
    return bytes;
  }

  /** Removes what pushes left that were killed. Call it when none of this repository runs. */
  async sweep(projectId: string): Promise<void> {
    const objects = join(this.path(projectId), 'objects');
    const left = (await readdir(objects)).filter((name) => UNFINISHED.test(`objects/${name}`));
    for (const name of left) await rm(join(objects, name), { recursive: true, force: true });
    for (const name of UNFINISHED_REFS) await rm(join(this.path(projectId), name), { force: true });
  }

  /** Makes one file of its branches and tags once they are many. Call it when none of this repository runs. */
  async packRefs(projectId: string): Promise<GitResult | undefined> {
    const refs = join(this.path(projectId), 'refs');
    const loose = (await readdir(refs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    if (loose.length <= MOST_LOOSE_REFS) return undefined;
    return this.run(projectId, ['pack-refs', '--all'], { timeoutMs: PACK_REFS_MS });
  }

  /** Whether it has so many branches, tags and other refs. */
  async hasRefs(projectId: string, count: number): Promise<boolean> {
    const { stdout } = await this.run(projectId, ['for-each-ref', `--count=${count}`, '--format=-']);
    return stdout.length >= count * '-\n'.length;
  }

  /** Packs it anew, without what no branch, tag or release has. Call it when none of this repository runs. */
  prune(projectId: string, signal: AbortSignal): Promise<GitResult> {
    return this.run(projectId, ['gc', '--quiet', '--prune=now'], { timeoutMs: PRUNE_MS, signal });
  }

  /** A command of git in the repository. */
  run(projectId: string, argv: readonly string[], options: Partial<Omit<RunOptions, 'env'>> = {}): Promise<GitResult> {
    return this.#git([`--git-dir=${this.path(projectId)}`, ...argv], options);
  }

  #git(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<GitResult> {
    return runGit(argv, { timeoutMs: TIMEOUT_MS, ...options, env: this.env });
  }
}

/** `refs`: one `refs/heads/...` per line, each maybe after a commit id and a tab, as ls-remote prints them. */
export function branchUnknown(branch: string, refs: string): OrkestrError {
  const branches = [...refs.matchAll(/refs\/heads\/(\S+)$/gm)].map(([, name]) => name ?? '');
  if (branches.length === 0) return new OrkestrError('ORK_REPO_EMPTY', 'The repository has no commit yet.');
  const evidence = branches.slice(0, MOST_NAMED).map((name) => `branch: ${name}`);
  return new OrkestrError('ORK_BRANCH_UNKNOWN', `The repository has no branch "${branch}".`, { evidence });
}

function serverConfig(hooksFolder: string): string {
  return [
    hardenedGitConfig(),
    // Later lines win over the hardened ones: the only hook is ours, and garbage is collected here, before git answers.
    '[core]',
    `  hooksPath = "${hooksFolder.replace(/[\\"]/g, String.raw`\$&`)}"`,
    // Larger files go through in pieces: a push of some kilobytes may unpack to one of half a gibibyte.
    '  bigFileThreshold = 16m',
    '[gc]',
    '  auto = 2000',
    '  autoDetach = false',
    '[maintenance]',
    '  auto = true',
    '  autoDetach = false',
    '[receive]',
    '  denyDeleteCurrent = ignore',
    '  denyCurrentBranch = ignore',
    // Packs stay packs: few files, quick to measure.
    '  unpackLimit = 1',
    ...fsckTolerance('receive'),
    '[transfer]',
    // Ours (kept-commits.ts): nobody sees them, pushes to them or deletes them.
    '  hideRefs = refs/orkestr',
    '[uploadpack]',
    // An agent fetches the exact commit of its job, also when the branch has moved on.
    '  allowReachableSHA1InWant = true',
    '  allowAnySHA1InWant = true',
    '[http]',
    '  receivepack = true',
    '  uploadpack = true',
    '  getanyfile = false',
    '',
  ].join('\n');
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size + BLOCK_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0; // a temporary file of a push that just ended
    throw error;
  }
}
