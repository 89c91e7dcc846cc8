/** For tests of checkouts: a real HTTP git server (git http-backend) with repositories, and folders to check out to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { OrkestrError } from '../../protocol/errors.ts';
import type { Source } from '../../protocol/job.ts';
import { GIT_ENV, serveGit } from '../../test/harness/git-http.ts';
import { makeSourceControl, type SourceControlOptions } from './source-control.ts';

/** Grants access below /private. */
export const TOKEN = 'canary-token-9f8e7d';

interface CheckoutOptions extends Partial<Omit<SourceControlOptions, 'privateDirectory'>> {
  readonly origin?: Source['origin'];
  readonly branch?: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

export class GitRemote {
  /** Hook for a single test. Returns true if it has answered the request. */
  onRequest: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  readonly root: string;
  readonly #server = createServer((request, response) => this.#serve(request, response));

  private constructor(root: string) {
    this.root = root;
  }

  static async start(): Promise<GitRemote> {
    const remote = new GitRemote(await mkdtemp(join(tmpdir(), 'ork-git-')));
    await once(remote.#server.listen(0, '127.0.0.1'), 'listening');
    return remote;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await rm(this.root, { recursive: true, force: true });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A repository served as /NAME.git, with a work tree to commit from. */
  async repository(name: string): Promise<{
    url: string;
    tree: string;
    git(...args: string[]): string;
    commit(files?: Readonly<Record<string, string>>): Promise<string>;
  }> {
    const tree = join(this.root, `${name}-tree`);
    const bare = join(this.root, `${name}.git`);
    await mkdir(dirname(tree), { recursive: true });
    execFileSync('git', ['init', '-q', '--bare', '-b', 'main', bare], { env: GIT_ENV });
    execFileSync('git', ['init', '-q', '-b', 'main', tree], { env: GIT_ENV });
    const git = (...args: string[]): string =>
      execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=a@b', ...args], {
        cwd: tree,
        env: GIT_ENV,
        encoding: 'utf8',
        stdio: 'pipe',
      }).trim();
    return {
      url: `http://127.0.0.1:${this.port}/${name}.git`,
      tree,
      git,
      async commit(files = {}) {
        for (const [path, text] of Object.entries(files)) {
          await mkdir(dirname(join(tree, path)), { recursive: true });
          await writeFile(join(tree, path), text);
        }
        git('add', '-A');
        git('commit', '-q', '--allow-empty', '-m', 'Say hi\n\nbody');
        git('push', '-q', '--force', bare, 'HEAD:main');
        return git('rev-parse', 'HEAD');
      },
    };
  }

  /** Checks out into a fresh folder. Returns the log and the folder for inspection. */
  async checkout(t: TestContext, url: string, commit: string, options: CheckoutOptions = {}) {
    const folder = await mkdtemp(join(this.root, 'out-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const privateDirectory = join(folder, 'private');
    const directory = join(folder, 'checkout');
    let log = '';
    const { origin = 'external', branch = 'main', token, signal = new AbortController().signal, ...settings } = options;
    const source = {
      origin,
      url,
      branch,
      ...(token === undefined ? {} : { auth: { username: 'x', token } }),
    };
    try {
      const result = await makeSourceControl({ privateDirectory, ...settings }).checkout({
        source,
        commit,
        directory,
        signal,
        log: {
          write: (bytes) => void (log += Buffer.from(bytes).toString()),
          line: (line) => void (log += `${line}\n`),
        },
      });
      return { result, directory, log, error: null };
    } catch (error) {
      return { result: null, directory, log, error: error as OrkestrError };
    } finally {
      // In any case, no config file with a token may be left.
      assert.deepEqual(existsSync(privateDirectory) ? readdirSync(privateDirectory) : [], []);
    }
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.onRequest?.(request, response) === true) return;
    const url = new URL(request.url ?? '/', 'http://x');
    const expected = `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}`;
    if (url.pathname.startsWith('/private') && request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    // Empty forces protocol v0, which serves only advertised commits.
    serveGit(this.root, request, response, url.pathname.startsWith('/old') ? { GIT_PROTOCOL: '' } : {});
  }
}
