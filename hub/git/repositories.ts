/** The bare repositories of the hub's own git remote: one per project, below the state folder. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { fsckTolerance, gitConfigFile, gitEnvironment, hardenedGitConfig } from '../../protocol/git-safety.ts';
import { runGit, type GitResult, type RunOptions } from './run.ts';

const TIMEOUT_MS = 20_000;
const PRUNE_MS = 10 * 60_000;
/**
 * Quarantine folder for the objects of an incomplete push (git's tmp-objdir.c); the shorter name is from before 2.35.
 */
const UNFINISHED = /^objects\/(?:tmp_objdir-)?incoming-/;
/** Left behind when pack-refs is killed; they make every later pack-refs fail. */
const UNFINISHED_REFS = ['packed-refs.lock', 'packed-refs.new'];
/**
 * Upper bound for the disk usage of a file or folder beside its content on common file systems: a ref has 41 bytes, and
 * there may be many.
 */
const BLOCK_BYTES = 4096;
/** Each loose ref is a file. */
const MAX_LOOSE_REFS = 200;
const PACK_REFS_MS = 60_000;
/** Suffix of a repository that is being removed. */
const GOING = '.going';
/** Maximum number of branches named in an error. */
const MAX_NAMED = 20;

export class Repositories {
  /** Folder of all repositories: GIT_PROJECT_ROOT of the backend. */
  readonly root: string;
  readonly hooksFolder: string;
  /**
   * Holds temporary HOMEs of git processes that read external repositories. The next start removes what a killed hub
   * left.
   */
  readonly home: string;
  /** HOME of the git processes that work on the repositories. */
  readonly #serverHome: string;

  constructor(stateFolder: string) {
    this.root = join(stateFolder, 'git');
    this.hooksFolder = join(stateFolder, 'git-hooks');
    this.home = join(stateFolder, 'git-home');
    this.#serverHome = join(stateFolder, 'git-server');
  }

  /** Creates the folders and the one config that all repositories are served with. */
  async prepare(): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
    for (const folder of [this.root, this.hooksFolder, this.home, this.#serverHome]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    await writeFile(gitConfigFile(this.#serverHome), serverConfig(this.hooksFolder), { mode: 0o600 });
  }

  /** The environment of every git child that works on the repositories. */
  get env(): Record<string, string> {
    return gitEnvironment({ home: this.#serverHome });
  }

  path(projectId: string): string {
    return join(this.root, `${projectId}.git`);
  }

  /** Creates the empty repository unless it exists. */
  async create(projectId: string): Promise<void> {
    const path = this.path(projectId);
    if (existsSync(join(path, 'HEAD'))) return;
    const made = await this.#git(['init', '--bare', '--quiet', '--template=', '--initial-branch=main', '--', path]);
    if (!made.ok) throw new OrkestrError('ORK_INTERNAL', `The repository could not be created: ${made.stderr.trim()}`);
  }

  /**
   * Rename the repository, so that it disappears at once for every reader, even during a backup; then delete its files.
   */
  async remove(projectId: string): Promise<void> {
    const path = this.path(projectId);
    const going = `${path}${GOING}`;
    // Left by a removal that was killed.
    await rm(going, { recursive: true, force: true });
    if (existsSync(path)) await rename(path, going);
    await rm(going, { recursive: true, force: true });
  }

  /** Folder names of the repositories. */
  async list(): Promise<string[]> {
    const names = existsSync(this.root) ? await readdir(this.root) : [];
    return names.filter((name) => !name.endsWith(GOING));
  }

  /** The commit of a branch. @throws OrkestrError ORK_BRANCH_UNKNOWN, ORK_REPO_EMPTY */
  async resolve(projectId: string, branch: string): Promise<string> {
    const found = await this.run(projectId, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}^{commit}`]);
    if (found.ok) return found.stdout.trim();
    const branches = await this.run(projectId, ['for-each-ref', '--format=%(refname)', 'refs/heads']);
    throw branchUnknown(branch, branches.stdout);
  }

  /** Whether a ref, given by its full name, points to that commit now. */
  async hasAt(projectId: string, reference: string, commit: string): Promise<boolean> {
    const found = await this.run(projectId, ['rev-parse', '--verify', '--quiet', reference]);
    return found.ok && found.stdout.trim() === commit;
  }

  async hasCommit(projectId: string, commit: string): Promise<boolean> {
    return (await this.run(projectId, ['cat-file', '-e', `${commit}^{commit}`])).ok;
  }

  /** Disk usage in bytes, rounded up, without unfinished pushes. */
  async size(projectId: string): Promise<number> {
    const path = this.path(projectId);
    const names = await readdir(path, { recursive: true });
    let bytes = 0;
    for (const name of names) if (!UNFINISHED.test(name)) bytes += await sizeOf(join(path, name));
    return bytes;
  }

  /** Removes what killed pushes left. Call it when nothing else works on this repository. */
  async sweep(projectId: string): Promise<void> {
    const objects = join(this.path(projectId), 'objects');
    const left = (await readdir(objects)).filter((name) => UNFINISHED.test(`objects/${name}`));
    for (const name of left) await rm(join(objects, name), { recursive: true, force: true });
    for (const name of UNFINISHED_REFS) await rm(join(this.path(projectId), name), { force: true });
  }

  /** Pack branches and tags into one file once there are many. Call it when nothing else works on this repository. */
  async packRefs(projectId: string): Promise<GitResult | undefined> {
    const refs = join(this.path(projectId), 'refs');
    const loose = (await readdir(refs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    if (loose.length <= MAX_LOOSE_REFS) return undefined;
    return this.run(projectId, ['pack-refs', '--all'], { timeoutMs: PACK_REFS_MS });
  }

  /** Whether it has at least `count` branches, tags and other refs. */
  async hasRefs(projectId: string, count: number): Promise<boolean> {
    const { stdout } = await this.run(projectId, ['for-each-ref', `--count=${count}`, '--format=-']);
    return stdout.length >= count * '-\n'.length;
  }

  /**
   * Repack it without objects that no branch, tag or release needs. Call it when nothing else works on this repository.
   */
  prune(projectId: string, signal: AbortSignal): Promise<GitResult> {
    return this.run(projectId, ['gc', '--quiet', '--prune=now'], { timeoutMs: PRUNE_MS, signal });
  }

  /** Runs a git command in the repository. */
  run(projectId: string, argv: readonly string[], options: Partial<Omit<RunOptions, 'env'>> = {}): Promise<GitResult> {
    return this.#git([`--git-dir=${this.path(projectId)}`, ...argv], options);
  }

  #git(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<GitResult> {
    return runGit(argv, { timeoutMs: TIMEOUT_MS, ...options, env: this.env });
  }
}

/** `refs`: one `refs/heads/...` per line, optionally after a commit id and a tab, as ls-remote prints them. */
export function branchUnknown(branch: string, refs: string): OrkestrError {
  const branches = [...refs.matchAll(/refs\/heads\/(\S+)$/gm)].map(([, name]) => name ?? '');
  if (branches.length === 0) return new OrkestrError('ORK_REPO_EMPTY', 'The repository has no commit yet.');
  const evidence = branches.slice(0, MAX_NAMED).map((name) => `branch: ${name}`);
  return new OrkestrError('ORK_BRANCH_UNKNOWN', `The repository has no branch "${branch}".`, { evidence });
}

function serverConfig(hooksFolder: string): string {
  return [
    hardenedGitConfig(),
    // Later lines override the hardened ones: the only hook is ours, and gc runs in the foreground, before git answers.
    '[core]',
    `  hooksPath = "${hooksFolder.replace(/[\\"]/g, String.raw`\$&`)}"`,
    // Stream larger files instead of loading them: a push of some kilobytes may unpack to a file of half a gibibyte.
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
    // Keep packs as packs: few files, fast to measure.
    '  unpackLimit = 1',
    ...fsckTolerance('receive'),
    '[transfer]',
    // Internal refs (kept-commits.ts), hidden from fetches and pushes.
    '  hideRefs = refs/orkestr',
    '[uploadpack]',
    // An agent fetches the exact commit of its job, even when the branch has moved on.
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
