/** The sample app as a separate project on one host of a lab: pushed to, and visited. */
import { appendFileSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { z } from 'zod';
import { Deployment, DeploymentDetail, Environment, Project } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import type { Client } from '../../hub/cli/client.ts';
import { GitWorkTree } from '../../installer/stack/git-work-tree.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { Load } from '../../installer/start/load.ts';
import type { LoadTarget } from '../../installer/start/load.ts';
import { online } from './fleet.ts';
import type { LabHost } from './host.ts';
import { VisitorSocket } from './visitor-socket.ts';

const DEPLOYMENT_MS = 900_000;
const ANSWER_MS = 3000;
const ENVIRONMENT = 'production';
/** Additions to the sample app in a lab: file → function in it that is called with the server. */
const ADDED = { 'echo-sockets.mjs': 'echoSockets', 'reach-out.mjs': 'reachOut' } as const;

interface AppPlan {
  readonly client: Client;
  readonly token: string;
  readonly host: LabHost;
  readonly slug: string;
  /** The folder in which its work tree is created. */
  readonly folder: string;
}

interface Pushed {
  readonly version: string;
  readonly deployment: Deployment;
}

export class App {
  readonly #client: Client;
  readonly #slug: string;
  readonly #tree: GitWorkTree;
  readonly #remote: { readonly url: string; readonly token: string };
  readonly #proxyUrl: string;
  readonly #hostName: string;
  /** Versions that visitors may see. */
  readonly #versions = new Set<string>();
  #version = 0;

  private constructor({ client, token, slug }: AppPlan, project: Project, tree: GitWorkTree, proxyUrl: string) {
    this.#client = client;
    this.#slug = slug;
    this.#tree = tree;
    this.#remote = { url: project.gitRemote ?? '', token };
    this.#proxyUrl = proxyUrl;
    this.#hostName = new URL(project.environments[0]?.urls[0] ?? 'http://unknown.invalid').hostname;
  }

  static async create(plan: AppPlan): Promise<App> {
    const { client, host, slug, folder } = plan;
    const { id } = await online(client, host.name);
    const environment = { slug: ENVIRONMENT, branch: 'main', hostId: id };
    const project = await client.post('/projects', { slug, environment }, Project);
    const tree = new GitWorkTree(join(folder, `tree-${slug}`), join(folder, `git-${slug}.config`));
    await tree.init();
    cpSync(join(ROOT, 'installer/sample'), tree.folder, { recursive: true });
    for (const [file, name] of Object.entries(ADDED)) {
      cpSync(join(import.meta.dirname, file), join(tree.folder, file));
      appendFileSync(join(tree.folder, 'server.js'), `import { ${name} } from './${file}';\n${name}(server);\n`);
    }
    return new App(plan, project, tree, `http://${await host.address()}`);
  }

  /** Pushes the next version and waits until it is live and responds. */
  async deploy(): Promise<void> {
    await this.live(await this.pushNext());
  }

  /** Waits until it is live and responds. */
  async live({ version, deployment }: Pushed): Promise<void> {
    const { status, error } = await this.ended(deployment);
    if (status !== 'live') throw new Error(`deployment ${status}: ${JSON.stringify(error)}`);
    const seen = await this.seen();
    if (seen !== version) throw new Error(`${this.#proxyUrl} answers ${seen}, not version ${version}`);
  }

  /** Pushes the next version without waiting, with these files as well: visitors may see it from now on. */
  async pushNext(files: Readonly<Record<string, string>> = {}): Promise<Pushed> {
    this.#version += 1;
    const version = String(this.#version);
    this.#versions.add(version);
    return { version, deployment: await this.push({ ...files, 'version.json': `{ "version": ${version} }\n` }) };
  }

  /** Pushes a change of these files; null removes one. */
  async push(files: Readonly<Record<string, string | null>>): Promise<Deployment> {
    this.#tree.write(files);
    const commit = await this.#tree.commit('Change');
    await this.#tree.push(this.#remote);
    const made = (await this.#client.get(`${this.#path()}/deployments`, z.array(Deployment), { limit: 10 })).find(
      (deployment) => deployment.commit === commit,
    );
    if (made === undefined) throw new Error(`the push of ${commit} to ${this.#slug} made no deployment`);
    return made;
  }

  /** Removes a file with the next push. */
  forget(file: string): void {
    this.#tree.write({ [file]: null });
  }

  /** Changes settings of its environment (protocol/job.ts), for the next deployment. */
  async set(settings: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#client.patch(this.#path(), { settings }, Environment);
  }

  /** The deployment as the hub has it now. */
  look({ id }: Deployment): Promise<DeploymentDetail> {
    return this.#client.get(apiPath('deployments', id), DeploymentDetail);
  }

  /** Waits until the deployment has ended. */
  async ended(made: Deployment): Promise<DeploymentDetail> {
    for (const end = Date.now() + DEPLOYMENT_MS; Date.now() < end; await sleep(200)) {
      const deployment = await this.look(made);
      if (!['queued', 'running'].includes(deployment.status)) return deployment;
    }
    throw new Error(`deployment ${made.id} is not decided after ${DEPLOYMENT_MS / 1000} s`);
  }

  /** Waits until a step of the deployment runs. */
  async untilRunning(deployment: Deployment, step: string): Promise<void> {
    for (const end = Date.now() + DEPLOYMENT_MS; Date.now() < end; await sleep(50)) {
      const { steps } = await this.look(deployment);
      if (steps.some(({ name, status }) => name === step && status === 'running')) return;
    }
    throw new Error(`deployment ${deployment.id} did not come to ${step} in ${DEPLOYMENT_MS / 1000} s`);
  }

  /** Connects a visitor that stays connected. */
  openSocket(): Promise<VisitorSocket> {
    return VisitorSocket.open(this.#proxyUrl.replace('http', 'ws'), this.#hostName);
  }

  /** The version that a visitor sees now, or why none. */
  seen(): Promise<string> {
    return this.header('x-version').catch((error: unknown) => (error as Error).message);
  }

  /** A header of the response that a visitor gets now. */
  async header(name: string): Promise<string> {
    const answer = await request(`${this.#proxyUrl}/version`, {
      headers: { host: this.#hostName },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`HTTP ${answer.statusCode}`);
    return String(answer.headers[name]);
  }

  /** Waits until visitors see this version. */
  async untilSeen(version: string, withinMs: number): Promise<void> {
    let seen = '';
    for (const end = Date.now() + withinMs; Date.now() < end; await sleep(100)) {
      seen = await this.seen();
      if (seen === version) return;
    }
    throw new Error(`${this.#proxyUrl} answers ${seen}, not version ${version}, after ${withinMs / 1000} s`);
  }

  /** @returns failed requests of visitors while `work` ran and for a moment afterwards */
  async under(work: () => Promise<void>, how: Pick<LoadTarget, 'onlyFresh'> = {}): Promise<number> {
    const load = new Load({ proxyUrl: this.#proxyUrl, hostName: this.#hostName, versions: this.#versions, ...how });
    try {
      await load.reach(200);
      await work();
      await load.reach(load.requests + 200);
    } finally {
      const { failed, failures } = await load.stop();
      if (failed > 0) process.stderr.write(`${failures.join('\n')}\n`);
    }
    return (await load.stop()).failed;
  }

  #path(): string {
    return apiPath('projects', this.#slug, 'environments', ENVIRONMENT);
  }
}
