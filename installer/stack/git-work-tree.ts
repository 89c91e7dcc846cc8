/** A git work tree of ours: commits files and pushes them to the hub's remote. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { mustRun, runProgram } from './run-program.ts';
import type { ProgramResult } from './run-program.ts';

const AUTHOR = { name: 'orkestr', email: 'orkestr@localhost' };

interface Remote {
  readonly url: string;
  readonly token: string;
}

export class GitWorkTree {
  readonly folder: string;
  readonly #configFile: string;

  /** `configFile`: holds git's settings for this tree, including credentials; mode 0600. */
  constructor(folder: string, configFile: string) {
    this.folder = folder;
    this.#configFile = configFile;
  }

  async init(branch = 'main'): Promise<void> {
    mkdirSync(this.folder, { recursive: true });
    if (existsSync(join(this.folder, '.git'))) return;
    await this.#git('init', '--quiet', `--initial-branch=${branch}`, '--', '.');
  }

  /** Lets a person `git push orkestr` from the tree: by a named remote and our config file with the credentials. */
  async configureRemote(name: string, remote: Remote): Promise<void> {
    this.#writeConfig(remote);
    await this.#git('config', '--local', '--replace-all', `remote.${name}.url`, remote.url);
    await this.#git('config', '--local', '--replace-all', 'include.path', this.#configFile);
  }

  /** Writes files; null removes one. Other files stay. */
  write(files: Readonly<Record<string, string | Buffer | null>>): void {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.folder, path);
      if (content === null) rmSync(file, { force: true });
      else {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content);
      }
    }
  }

  /** Removes all files, so that the tree will hold only what is written next. */
  clear(): void {
    for (const name of readdirSync(this.folder)) {
      if (name !== '.git') rmSync(join(this.folder, name), { recursive: true });
    }
  }

  /** Commits everything, with `at` as the committer date. @returns the commit id */
  async commit(message: string, at = new Date()): Promise<string> {
    await this.#git('add', '--all', '--', '.');
    const env = { ...this.environment(), GIT_COMMITTER_DATE: at.toISOString() };
    await mustRun('git commit', ['git', 'commit', '--quiet', '--allow-empty', '-m', message], {
      cwd: this.folder,
      env,
    });
    return this.head();
  }

  async head(): Promise<string> {
    return (await this.#git('rev-parse', 'HEAD')).trim();
  }

  async commitCount(): Promise<number> {
    const result = await this.#run('rev-list', '--count', 'HEAD');
    return result.code === 0 ? Number(result.stdout) : 0;
  }

  /**
   * Pushes HEAD. The token goes through a config file, never through argv, environment or URL.
   * @returns what the remote said
   */
  async push(remote: Remote, branch = 'main'): Promise<string> {
    const result = await this.tryPush(remote, branch);
    if (result.code === 0) return result.stderr;
    throw new OrkestrError('ORK_PREPARE_FAILED', `git push failed (exit code ${result.code ?? 'none: killed'}).`, {
      evidence: result.stderr.trim().split('\n').slice(-20),
    });
  }

  /** Like {@link push}, but returns the result, whatever it is. */
  async tryPush(remote: Remote, branch = 'main'): Promise<ProgramResult> {
    this.#writeConfig(remote);
    return this.#run('push', '--', remote.url, `HEAD:refs/heads/${branch}`);
  }

  async #git(...args: string[]): Promise<string> {
    return mustRun(`git ${args[0]}`, ['git', ...args], { cwd: this.folder, env: this.environment() });
  }

  #run(...args: string[]): Promise<ProgramResult> {
    return runProgram(['git', ...args], { cwd: this.folder, env: this.environment() });
  }

  #writeConfig(remote: Remote): void {
    const credentials = Buffer.from(`orkestr:${remote.token}`).toString('base64');
    const text = `[http "${new URL(remote.url).origin}"]\n\textraHeader = Authorization: Basic ${credentials}\n`;
    writeFileSync(this.#configFile, text, { mode: 0o600 });
  }

  /**
   * git's environment: only our settings count, including credentials; not the developer's or the machine's, no hooks,
   * no prompt.
   */
  environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.folder,
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: this.#configFile,
      GIT_TERMINAL_PROMPT: '0',
      GIT_AUTHOR_NAME: AUTHOR.name,
      GIT_AUTHOR_EMAIL: AUTHOR.email,
      GIT_COMMITTER_NAME: AUTHOR.name,
      GIT_COMMITTER_EMAIL: AUTHOR.email,
    };
  }
}
