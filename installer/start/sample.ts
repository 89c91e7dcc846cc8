/** The sample project `hello`: its own git repository, pushed to the hub's remote, one commit per version. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { z } from 'zod';
import { Deployment, Project } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import type { Client } from '../../hub/cli/client.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { GitWorkTree } from '../stack/git-work-tree.ts';
import { ROOT } from '../stack/stack.ts';
import type { Home } from './home.ts';

const SLUG = 'hello';
const ENVIRONMENT = 'production';

export class Sample {
  /** Host header under which the proxy serves it. */
  readonly hostName: string;
  readonly url: string;
  readonly #client: Client;
  readonly #token: string;
  readonly #remote: string;
  readonly #tree: GitWorkTree;

  private constructor(project: Project, client: Client, token: string, tree: GitWorkTree) {
    this.url = project.environments[0]?.urls[0] ?? '';
    this.hostName = new URL(this.url).hostname;
    this.#remote = project.gitRemote ?? '';
    this.#client = client;
    this.#token = token;
    this.#tree = tree;
  }

  /** Creates project and repository if they are missing. */
  static async open(home: Home, client: Client, token: string): Promise<Sample> {
    const projects = await client.get('/projects', z.array(Project));
    const project =
      projects.find(({ slug }) => slug === SLUG) ??
      (await client.post('/projects', { slug: SLUG, environment: { slug: ENVIRONMENT, branch: 'main' } }, Project));
    const tree = new GitWorkTree(home.path('sample'), home.path('sample-git.config'));
    await tree.init();
    if ((await tree.commitCount()) === 0) cpSync(join(ROOT, 'installer/sample'), tree.folder, { recursive: true });
    await tree.configureRemote('orkestr', { url: project.gitRemote ?? '', token });
    return new Sample(project, client, token, tree);
  }

  /** The last committed version; 0 before the first. */
  version(): Promise<number> {
    return this.#tree.commitCount();
  }

  /** Commits the next version and pushes it. @returns the deployment that the push started */
  async pushNext(): Promise<{ deployment: Deployment; version: string }> {
    const version = (await this.version()) + 1;
    this.#tree.write({ 'version.json': `{ "version": ${version} }\n` });
    const commit = await this.#tree.commit(`Version ${version}`);
    return { deployment: await this.#push(commit), version: String(version) };
  }

  /** Deploys the last commit again, for a run that was interrupted before it was live. */
  async deployAgain(): Promise<Deployment> {
    await this.#tree.push({ url: this.#remote, token: this.#token });
    const open = (await this.#deployments()).find(({ status }) => status === 'queued' || status === 'running');
    return open ?? this.#client.post(this.#path(), {}, Deployment);
  }

  /** The version that responds through the proxy, or why none does. */
  async probe(proxyUrl: string): Promise<{ version: string } | { reason: string }> {
    try {
      const answer = await request(`${proxyUrl}/version`, {
        headers: { host: this.hostName },
        signal: AbortSignal.timeout(3000),
      });
      const body = await answer.body.text();
      if (answer.statusCode !== 200) return { reason: `HTTP ${answer.statusCode}` };
      return { version: String(answer.headers['x-version'] ?? body) };
    } catch (error) {
      return { reason: (error as Error).message };
    }
  }

  async #push(commit: string): Promise<Deployment> {
    await this.#tree.push({ url: this.#remote, token: this.#token });
    const made = (await this.#deployments()).find((deployment) => deployment.commit === commit);
    if (made) return made;
    throw new OrkestrError('ORK_INTERNAL', `The push of ${commit} to the sample project started no deployment.`);
  }

  #deployments(): Promise<Deployment[]> {
    return this.#client.get(this.#path(), z.array(Deployment), { limit: 10 });
  }

  #path(): string {
    return `${apiPath('projects', SLUG, 'environments', ENVIRONMENT)}/deployments`;
  }
}
