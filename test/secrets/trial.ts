/** A complete installation that receives forty canaries and uses them all; then every place is searched for them. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { makeEngine } from '../../agent/docker/engine.ts';
import { Deployment, MadeToken, Project } from '../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import { z } from 'zod';
import type { TestProject } from '../harness/project.ts';
import { startStack, type Stack } from '../harness/stack.ts';
import { LOUD, mounting, QUIET_SERVER } from './apps.ts';
import { API_TOKENS, apiTokenCanary, type Canary, makeCanaries } from './canaries.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import { Search } from './search.ts';

/** How often the running programs are checked, ms: git and docker run longer. */
const WATCH_MS = 25;

interface Hit {
  readonly canary: string;
  readonly place: string;
}

export interface Findings {
  readonly places: number;
  readonly hits: readonly Hit[];
}

export class Trial {
  readonly stack: Stack;
  readonly canaries: Canary[] = makeCanaries();
  /** Deployments and their outcomes. */
  readonly deployments: DeploymentDetail[] = [];
  readonly #commandLines = new Set<string>();
  readonly #watch: NodeJS.Timeout;
  #git: GitServer | undefined;

  private constructor(stack: Stack) {
    this.stack = stack;
    this.#watch = setInterval(() => this.#watchPrograms(), WATCH_MS);
  }

  /** Logs everything that can be logged. */
  static async start(): Promise<Trial> {
    const env = { ORKESTR_LOG_LEVEL: 'trace' };
    // Its git server is on loopback.
    const repositories = { ORKESTR_ALLOW_HTTP_REPOSITORIES: '1', ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1' };
    return new Trial(await startStack({ env: { hub: { ...env, ...repositories }, agent: env } }));
  }

  async stop(): Promise<void> {
    clearInterval(this.#watch);
    this.#git?.stop();
    await this.stack.stop();
  }

  /** Deploys with every canary in use. */
  async run(): Promise<void> {
    await this.#makeTokens();
    const variables = this.#named('variable');
    const loud = await this.#project('loud', LOUD, variables);
    this.deployments.push(await loud.deploy(), await loud.deploy(QUIET_SERVER));
    const mounted = await this.#project('mounted', mounting(Object.keys(this.#named('build secret'))), variables);
    this.deployments.push(await mounted.deploy());
    await this.#cloneWithTokens();
  }

  /** The whole log of a deployment. */
  log(deployment: DeploymentDetail): Promise<string> {
    return this.#text(`${apiPath('deployments', deployment.id)}/logs`);
  }

  async find(): Promise<Findings> {
    const search = new Search(this.canaries);
    const hits: Hit[] = [];
    let places = 0;
    const note = (place: string, found: ReadonlySet<string>): void => {
      places += 1;
      hits.push(...[...found].map((canary) => ({ canary, place })));
    };
    note('arguments of programs', search.inText([...this.#commandLines].join('\n')));
    for (const path of this.#apiPaths()) note(`API ${path}`, search.inText(await this.#text(path)));
    for (const folder of [this.stack.folder, this.stack.plan.runFolder]) {
      for (const file of filesBelow(folder)) note(file, await search.inFile(file));
    }
    const engine = makeEngine({ socketPath: this.stack.plan.dockerSocket });
    for (const { release } of this.deployments) {
      if (release === null) continue;
      const { id } = release.image;
      const [info, history, archive] = await engine.call('read an image', async (docker) => {
        const image = docker.getImage(id);
        return Promise.all([image.inspect(), image.history(), image.get()]);
      });
      note(`configuration of ${id}`, search.inText(JSON.stringify([info, history])));
      note(`layers of ${id}`, await search.inArchive(archive as Readable));
    }
    return { places, hits };
  }

  /** The canaries of a kind as an environment receives them: CANARY_V1, CANARY_B1, … */
  #named(kind: Canary['kind']): Record<string, string> {
    const initial = kind === 'build secret' ? 'B' : 'V';
    return Object.fromEntries(this.#of(kind).map(({ value }, index) => [`CANARY_${initial}${index + 1}`, value]));
  }

  #of(kind: Canary['kind']): Canary[] {
    return this.canaries.filter((canary) => canary.kind === kind);
  }

  async #project(
    slug: string,
    files: Readonly<Record<string, string>>,
    variables: Readonly<Record<string, string>>,
  ): Promise<TestProject> {
    const { client } = this.stack;
    const project = await this.stack.createProject(files, { slug, variables });
    const path = `${apiPath('projects', slug, 'environments', 'production')}/variables`;
    await client.patch(path, { kind: 'build', variables: this.#named('build secret') }, z.unknown());
    for (const [index, { user, value }] of this.#of('registry password').entries()) {
      const registry = apiPath('projects', slug, 'registries', `registry${index}.example.com`);
      await client.put(registry, { username: user, password: value }, z.unknown());
    }
    return project;
  }

  async #makeTokens(): Promise<void> {
    for (let index = 0; index < API_TOKENS; index += 1) {
      const { token } = await this.stack.client.post(
        '/tokens',
        { name: `canary ${index}`, scopes: ['read'] },
        MadeToken,
      );
      this.canaries.push(apiTokenCanary(index, token));
      const answer = await this.stack.client.open({
        method: 'GET',
        path: '/me',
        headers: { authorization: `Bearer ${token}` },
      });
      await answer.body.dump();
    }
  }

  /** External repositories: the hub looks up the branch and the host clones, both with the token. */
  async #cloneWithTokens(): Promise<void> {
    const tokens = this.#of('git token');
    const folder = join(this.stack.folder, 'git-server');
    mkdirSync(folder);
    this.#git = await startGitServer(folder, tokens);
    for (const [index, { user, value }] of tokens.entries()) {
      const slug = `external-${index}`;
      const repository = { url: this.#git.url, auth: { username: user, token: value } };
      await this.stack.client.post('/projects', { slug, repository }, Project);
      const path = `${apiPath('projects', slug, 'environments', 'production')}/deployments`;
      const { id } = await this.stack.client.post(path, {}, Deployment);
      this.deployments.push(await this.stack.waitForDeployment(id));
    }
  }

  #apiPaths(): string[] {
    const projects = ['loud', 'mounted', 'external-0'].flatMap((slug) => {
      const environment = apiPath('projects', slug, 'environments', 'production');
      return [
        apiPath('projects', slug),
        `${apiPath('projects', slug)}/registries`,
        environment,
        `${environment}/variables`,
        `${environment}/deployments`,
      ];
    });
    const deployments = this.deployments.flatMap(({ id }) =>
      ['', '/logs', '/events'].map((rest) => `${apiPath('deployments', id)}${rest}`),
    );
    return ['/me', '/tokens', '/hosts', '/projects', ...projects, ...deployments];
  }

  async #text(path: string): Promise<string> {
    const answer = await this.stack.client.open({ method: 'GET', path });
    return answer.body.text();
  }

  #watchPrograms(): void {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        this.#commandLines.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      } catch {
        // the process has ended
      }
    }
  }
}

/** Folders of an engine that hold images, which are searched as images. */
const IMAGES = new Set(['overlay2', 'vfs', 'snapshots']);
/** The only file that may hold a token: the private config of the test's git client. Also disks, which hold images. */
const NOT_SEARCHED = /^git-[a-z-]+\.config$|\.img$/;

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return IMAGES.has(basename(path)) ? [] : filesBelow(path);
    return entry.isFile() && !NOT_SEARCHED.test(entry.name) ? [path] : [];
  });
}
