/** A test's project: its work tree, its pushes, its deployments. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { LABEL } from '../../agent/lib/labels.ts';
import { Deployment, Project } from '../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import type { EngineApi } from '../../installer/prepare/engine-api.ts';
import { GitWorkTree } from '../../installer/stack/git-work-tree.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import type { Stack } from './stack.ts';

export interface ProjectOptions {
  /** Default: the fixture's name, or `app`. */
  readonly slug?: string;
  readonly branch?: string;
  /** Needed if the team has more than one host. */
  readonly hostId?: string;
  /** Settings of its environment `production` (protocol/job.ts), as the API takes them. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly variables?: Readonly<Record<string, string>>;
}

/** Path → content, null to remove the file. */
type Files = Readonly<Record<string, string | null>>;

export class TestProject {
  readonly slug: string;
  readonly environmentId: string;
  readonly branch: string;
  readonly tree: GitWorkTree;
  readonly remoteUrl: string;
  /** Host name that the proxy routes to it. */
  readonly hostName: string;
  readonly #stack: Stack;

  private constructor(stack: Stack, project: Project, branch: string, tree: GitWorkTree) {
    this.#stack = stack;
    this.slug = project.slug;
    this.environmentId = project.environments[0]?.id ?? '';
    this.branch = branch;
    this.tree = tree;
    this.remoteUrl = project.gitRemote ?? '';
    this.hostName = new URL(project.environments[0]?.urls[0] ?? 'http://unknown.invalid').hostname;
  }

  static async create(
    stack: Stack,
    fixture: string | Readonly<Record<string, string>>,
    options: ProjectOptions,
  ): Promise<TestProject> {
    const slug = options.slug ?? (typeof fixture === 'string' ? fixture : 'app');
    const branch = options.branch ?? 'main';
    const tree = new GitWorkTree(join(stack.folder, 'trees', slug), join(stack.folder, `git-${slug}.config`));
    await tree.init(branch);
    if (typeof fixture === 'string')
      cpSync(join(ROOT, 'test/fixtures/apps', fixture), tree.folder, { recursive: true });
    else tree.write(fixture);
    await tree.commit('First version');
    // A longer window would only slow down tests of something else.
    const { hostId } = options;
    const environment = { slug: 'production', branch, hostId, settings: { watchSeconds: 0.3, ...options.settings } };
    const project = await stack.client.post('/projects', { slug, environment }, Project);
    const made = new TestProject(stack, project, branch, tree);
    if (options.variables) await made.setVariables(options.variables);
    return made;
  }

  async setVariables(variables: Readonly<Record<string, string | null>>): Promise<void> {
    const path = `${apiPath('projects', this.slug, 'environments', 'production')}/variables`;
    const answer = await this.#stack.client.open({ method: 'PATCH', path, body: { variables } });
    await answer.body.dump();
  }

  /** Pushes what is committed, with these files (if any). Returns the deployment that the push started. */
  async push(files?: Files): Promise<Deployment> {
    if (files) {
      this.tree.write(files);
      await this.tree.commit('Change');
    }
    await this.tree.push({ url: this.remoteUrl, token: this.#stack.token }, this.branch);
    const commit = await this.tree.head();
    const made = (await this.#stack.deployments(this.slug)).find((deployment) => deployment.commit === commit);
    if (!made) throw new Error(`the push of ${commit} made no deployment of ${this.slug}`);
    return made;
  }

  /** Pushes, and waits until the deployment has ended, however. */
  async deploy(files?: Files): Promise<DeploymentDetail> {
    return this.#stack.waitForDeployment((await this.push(files)).id);
  }

  /** Pushes, and waits until the deployment is live. @throws AssertionError with its error if it ends otherwise */
  async goesLive(files?: Files): Promise<DeploymentDetail> {
    return this.#stack.goesLive((await this.push(files)).id);
  }

  /** Starts a deployment of the branch's newest commit by hand. */
  redeploy(): Promise<Deployment> {
    const path = `${apiPath('projects', this.slug, 'environments', 'production')}/deployments`;
    return this.#stack.client.post(path, {}, Deployment);
  }

  /** Starts a rollback to the release of this deployment. @param variables default: those of now */
  rollback(to: { readonly id: string }, variables?: 'current' | 'release'): Promise<Deployment> {
    return this.#stack.client.post(`${apiPath('deployments', to.id)}/rollback`, { variables }, Deployment);
  }

  /** Containers of its environment in the machine's engine, in any state. */
  containers(): ReturnType<EngineApi['containers']> {
    return this.#stack.engine.containers(this.#label);
  }

  /** Images of its environment in the machine's engine. */
  images(): ReturnType<EngineApi['images']> {
    return this.#stack.engine.images(this.#label);
  }

  /** One request to the app through the proxy. */
  get(path = '/', options: { method?: 'GET' | 'POST'; body?: string } = {}): ReturnType<Stack['get']> {
    return this.#stack.get(this.hostName, path, options);
  }

  get #label(): string {
    return `${LABEL.environment}=${this.environmentId}`;
  }
}
