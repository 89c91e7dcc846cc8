/**
 * A whole installation for one test: hub, proxy and agent as real processes with the pinned Node on free ports, an
 * admin, an enrolled host, all state in one temp folder. `stop` removes everything again. What a killed test run leaves
 * is removed by test/run.ts, from the records of records.ts.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { z } from 'zod';
import { scopeOf } from '../../agent/identity/identity.ts';
import { Deployment, DeploymentDetail } from '../../hub/api/schemas.ts';
import type { Host } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import { Client } from '../../hub/cli/client.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET } from '../../installer/prepare/engine.ts';
import { buildProxy } from '../../installer/prepare/proxy-bundle.ts';
import { enrolHost, setUpHub, waitForHost } from '../../installer/stack/enrol.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../installer/stack/run-program.ts';
import { Service } from '../../installer/stack/service.ts';
import type { ServiceCommand } from '../../installer/stack/service.ts';
import {
  agentArgv,
  agentCommand,
  agentEnv,
  hubCommand,
  makeFolders,
  proxyCommand,
  ROOT,
  runFolderOf,
} from '../../installer/stack/stack.ts';
import type { StackPlan } from '../../installer/stack/stack.ts';
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import { freePort } from './free-port.ts';
import { TestProject } from './project.ts';
import type { ProjectOptions } from './project.ts';
import { keepRecord, noteScope, sweep } from './records.ts';

export type ProcessName = 'hub' | 'proxy' | 'agent';
const COMMANDS = { hub: hubCommand, proxy: proxyCommand, agent: agentCommand } as const;
/** How often to ask for a deployment, ms. It takes seconds, and each answer takes the hub some milliseconds of a core. */
const LOOK_MS = 200;
const ENDED: readonly DeploymentStatus[] = ['live', 'superseded', 'failed', 'cancelled', 'skipped'];

interface StackOptions {
  /** Environment variables of single processes, e.g. `{ agent: { ORKESTR_FAILPOINT: 'build:after' } }`. */
  readonly env?: Partial<Record<ProcessName, NodeJS.ProcessEnv>>;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export class Stack {
  readonly folder: string;
  readonly client: Client;
  readonly token: string;
  readonly host: Host;
  /** Label of everything that this stack's agent makes in the engine, and part of its names. */
  readonly scope: string;
  readonly hubUrl: string;
  readonly proxyUrl: string;
  readonly plan: StackPlan;
  /** The machine's engine. */
  readonly engine: EngineApi;
  readonly #services: Map<ProcessName, Service>;
  readonly #env: StackOptions['env'];

  constructor(parts: {
    plan: StackPlan;
    client: Client;
    token: string;
    host: Host;
    hubUrl: string;
    proxyUrl: string;
    services: Map<ProcessName, Service>;
    env: StackOptions['env'];
  }) {
    this.plan = parts.plan;
    this.engine = new EngineApi(parts.plan.dockerSocket);
    this.folder = parts.plan.folder;
    this.client = parts.client;
    this.token = parts.token;
    this.host = parts.host;
    this.scope = scopeOf(parts.host.id);
    noteScope(this.scope);
    this.hubUrl = parts.hubUrl;
    this.proxyUrl = parts.proxyUrl;
    this.#services = parts.services;
    this.#env = parts.env;
  }

  /** A process of the stack, for access to its log, pid and end. */
  service(name: ProcessName): Service {
    const service = this.#services.get(name);
    if (!service) throw new Error(`${name} was never started`);
    return service;
  }

  /** Sends SIGKILL, like a power cut. */
  async kill(name: ProcessName): Promise<void> {
    await this.service(name).kill();
  }

  /** Starts a process that was killed or stopped, with its old address and state. `env` applies to this start only. */
  async start(name: ProcessName, env: NodeJS.ProcessEnv = {}): Promise<Service> {
    const service = await startOne(this.plan, name, { ...this.#env?.[name], ...env });
    this.#services.set(name, service);
    if (name !== 'agent') await service.url();
    return service;
  }

  async restart(name: ProcessName, env: NodeJS.ProcessEnv = {}): Promise<Service> {
    await this.service(name).stop();
    return this.start(name, env);
  }

  /** `orkestr-agent …` on this stack's host. */
  agentCli(...args: string[]): Promise<ProgramResult> {
    return runProgram([...agentArgv(), ...args], { env: agentEnv(this.plan) });
  }

  /**
   * Creates a project with its own repository, from a folder of test/fixtures/apps or from files. Pushes nothing yet.
   */
  createProject(
    fixture: string | Readonly<Record<string, string>>,
    options: ProjectOptions = {},
  ): Promise<TestProject> {
    return TestProject.create(this, fixture, options);
  }

  /** Sends one request through the proxy. `hostName` is only the Host header. */
  async get(hostName: string, path = '/', options: { method?: 'GET' | 'POST'; body?: string } = {}): Promise<Answer> {
    const answer = await request(`${this.proxyUrl}${path}`, {
      method: options.method ?? 'GET',
      headers: { host: hostName },
      body: options.body ?? null,
    });
    return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
  }

  deployment(id: string): Promise<DeploymentDetail> {
    return this.client.get(apiPath('deployments', id), DeploymentDetail);
  }

  /** Returns the deployment in full once `until` holds; by default once it has ended, with any status. */
  async waitForDeployment(
    id: string,
    until: (deployment: DeploymentDetail) => boolean = hasEnded,
    timeoutMs = 180_000,
  ): Promise<DeploymentDetail> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const deployment = await this.deployment(id);
      if (until(deployment)) return deployment;
      if (performance.now() > deadline) {
        const steps = deployment.steps.map(({ name, status }) => `${name}: ${status}`).join(', ');
        throw new Error(`deployment ${id} is still ${deployment.status} after ${timeoutMs} ms (${steps})`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** Returns the deployment in full once it is live. @throws AssertionError with its error if it ends otherwise */
  async goesLive(id: string): Promise<DeploymentDetail> {
    const deployment = await this.waitForDeployment(id);
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    return deployment;
  }

  /** Newest first. */
  deployments(project: string, environment = 'production'): Promise<Deployment[]> {
    const path = `${apiPath('projects', project, 'environments', environment)}/deployments`;
    return this.client.get(path, z.array(Deployment), { limit: 50 });
  }

  /** Ends and removes everything that this stack has made: processes, containers, images, networks, firewall, files. */
  async stop(): Promise<void> {
    await this.client.close();
    await this.engine.close();
    await sweep(this.folder);
  }
}

const hasEnded = ({ status }: DeploymentDetail): boolean => ENDED.includes(status);

/** Call `stop` in an `after` hook. If the start fails, everything is removed before this throws. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-test-'));
  const services = new Map<ProcessName, Service>();
  const proxyPort = await freePort();
  const plan: StackPlan = {
    folder,
    runFolder: runFolderOf(folder),
    // Fixed, and used by nobody else while a process is down: it comes back where the others look for it.
    hubListen: `127.0.0.1:${await freePort()}`,
    proxyListen: `127.0.0.1:${proxyPort}`,
    appsUrl: `http://localhost:${proxyPort}`,
    dockerSocket: DOCKER_SOCKET,
  };
  keepRecord(plan);
  makeFolders(plan);
  const start = async (name: ProcessName): Promise<Service> => {
    const service = await startOne(plan, name, options.env?.[name] ?? {});
    services.set(name, service);
    return service;
  };
  try {
    const proxyUrl = await (await start('proxy')).url();
    const hubUrl = await (await start('hub')).url();
    const token = await setUpHub(plan, { email: 'admin@example.org', team: 'Test' });
    const client = new Client({ url: hubUrl, token });
    await enrolHost(client, plan, hostname().slice(0, 60) || 'test');
    await start('agent');
    const host = await waitForHost(client);
    return new Stack({ plan, client, token, host, hubUrl, proxyUrl, services, env: options.env });
  } catch (error) {
    await sweep(folder);
    throw error;
  }
}

async function startOne(plan: StackPlan, name: ProcessName, env: NodeJS.ProcessEnv): Promise<Service> {
  if (name === 'proxy') await buildProxy(ROOT, () => undefined);
  const command: ServiceCommand = COMMANDS[name](plan);
  const service = await Service.start({ ...command, env: { ...command.env, ...env } });
  keepRecord(plan, service.identity);
  return service;
}
