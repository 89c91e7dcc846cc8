/** The hosts of a lab once orkestr is on them: a hub, agents, the sample app, visitors. */
import { appendFileSync, cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { Deployment, DeploymentDetail, Host, Project } from '../../hub/api/schemas.ts';
import { apiPath, Client } from '../../hub/cli/client.ts';
import { Home } from '../../installer/start/home.ts';
import { Load } from '../../installer/start/load.ts';
import type { LoadTarget } from '../../installer/start/load.ts';
import { Sample } from '../../installer/start/sample.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import type { LabHost } from './host.ts';
import { IMAGES_ON_HOST, RELEASE_ON_HOST } from './lab.ts';
import type { Lab } from './lab.ts';
import { VisitorSocket } from './visitor-socket.ts';

const HUB_PORT = 7700;
const WAIT_MS = 180_000;
/** What the sample app gets in a lab. */
const SOCKETS = 'echo-sockets.mjs';

export const hubUrlOf = async (hub: LabHost): Promise<string> => `http://${await hub.address()}:${HUB_PORT}`;

/** The hub on its host from bare, as a person does it who has the files of a release. @returns its admin token */
export async function installHub(host: LabHost): Promise<string> {
  const url = await hubUrlOf(host);
  const options = ['--hub-here', '--offline', RELEASE_ON_HOST, '--listen', `0.0.0.0:${HUB_PORT}`];
  await host.must(['sh', `${RELEASE_ON_HOST}/install.sh`, ...options, '--public-url', url, '--allow-http']);
  return (await host.must(['cat', '/etc/orkestr/admin-token'])).trim();
}

/** The one line that the hub gives for a new host, pasted there. */
export async function joinByOneLine(client: Client, host: LabHost): Promise<void> {
  const { installCommand } = await client.post('/hosts', { name: host.name }, z.object({ installCommand: z.string() }));
  // Who pastes it in a lab is root; a bare Debian has no sudo.
  const { code, stdout, stderr } = await host.paste(installCommand.replace('sudo ', ''));
  if (code !== 0) throw new Error(`${installCommand}\n${stdout}${stderr}`);
  await online(client, host.name);
}

export async function online(client: Client, name: string): Promise<Host> {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(200)) {
    const host = (await client.get('/hosts', z.array(Host))).find((one) => one.name === name);
    if (host?.online) return host;
  }
  throw new Error(`${name} did not come online in ${WAIT_MS / 1000} s`);
}

/** The base image of the sample from the machine's engine into the host's: no registry is reachable from a lab. */
export async function giveBaseImage(lab: Lab, host: LabHost): Promise<void> {
  const { node } = BaseImages.parse({});
  const file = join(lab.imageFolder, 'node.tar');
  if (!existsSync(file)) await mustRun('docker save', ['docker', 'save', `--output=${file}`, node]);
  await host.must(['docker', 'load', '--quiet', `--input=${IMAGES_ON_HOST}/node.tar`]);
}

/** A sample app placed on one host. */
export class App {
  readonly #client: Client;
  readonly #sample: Sample;
  readonly #url: string;
  readonly #versions = new Set<string>();

  private constructor(client: Client, sample: Sample, url: string) {
    this.#client = client;
    this.#sample = sample;
    this.#url = url;
  }

  static async create(client: Client, token: string, host: LabHost, folder: string): Promise<App> {
    const { id } = await online(client, host.name);
    await client.post(
      '/projects',
      { slug: 'hello', environment: { slug: 'production', branch: 'main', hostId: id } },
      Project,
    );
    const home = new Home(join(folder, 'sample'));
    home.make();
    const sample = await Sample.open(home, client, token);
    cpSync(join(import.meta.dirname, SOCKETS), home.path('sample', SOCKETS));
    appendFileSync(
      home.path('sample', 'server.js'),
      `import { echoSockets } from './${SOCKETS}';\nechoSockets(server);\n`,
    );
    return new App(client, sample, `http://${await host.address()}`);
  }

  /** Pushes the next version and waits until it is live and answers. */
  async deploy(): Promise<void> {
    const { deployment, version } = await this.#sample.pushNext();
    this.#versions.add(version);
    await this.#untilLive(deployment.id);
    const seen = await this.#sample.probe(this.#url);
    if (!('version' in seen) || seen.version !== version) throw new Error(`${this.#url}: ${JSON.stringify(seen)}`);
  }

  /** Waits until a step of the newest deployment runs. */
  async untilRunning(step: string): Promise<void> {
    for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(50)) {
      const path = `${apiPath('projects', 'hello', 'environments', 'production')}/deployments`;
      const [newest] = await this.#client.get(path, z.array(Deployment), { limit: 1 });
      if (newest === undefined) continue;
      const { steps } = await this.#client.get(apiPath('deployments', newest.id), DeploymentDetail);
      if (steps.some(({ name, status }) => name === step && status === 'running')) return;
    }
    throw new Error(`no deployment came to ${step} in ${WAIT_MS / 1000} s`);
  }

  /** A visitor that stays connected. */
  openSocket(): Promise<VisitorSocket> {
    return VisitorSocket.open(this.#url.replace('http', 'ws'), this.#sample.hostName);
  }

  /** @returns failed requests of visitors while `work` ran and for a moment after */
  async under(work: () => Promise<void>, how: Pick<LoadTarget, 'onlyFresh'> = {}): Promise<number> {
    const load = new Load({ proxyUrl: this.#url, hostName: this.#sample.hostName, versions: this.#versions, ...how });
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

  async #untilLive(id: string): Promise<void> {
    for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(200)) {
      const deployment = await this.#client.get(apiPath('deployments', id), DeploymentDetail);
      if (deployment.status === 'live') return;
      if (['failed', 'cancelled', 'skipped'].includes(deployment.status)) {
        throw new Error(`deployment ${deployment.status}: ${JSON.stringify(deployment.error)}`);
      }
    }
    throw new Error(`deployment ${id} is not live after ${WAIT_MS / 1000} s`);
  }
}
