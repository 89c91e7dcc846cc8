/** For the console's tests: a real hub with a project, pushes over real git, and an agent that the test scripts. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ScriptedAgent } from '../../../hub/agents/test-agent.ts';
import { exampleRelease } from '../../../hub/test-release.ts';
import { MadeHost, Project } from '../../../hub/api/schemas.ts';
import { apiPath } from '../../../hub/api/paths.ts';
import { Client } from '../../../hub/cli/client.ts';
import { readConfig } from '../../../hub/config.ts';
import { startHub, systemClock } from '../../../hub/hub.ts';
import { createAccount } from '../../../hub/setup.ts';
import { EnrolAnswer } from '../../../protocol/agent-link.ts';
import type { HostStatus } from '../../../protocol/agent-link.ts';
import type { ErrorReport } from '../../../protocol/errors.ts';
import type { ReleaseJob } from '../../../protocol/job.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { makeKeyPair } from '../../../protocol/signing.ts';
import type { SideCount } from '../../../protocol/flip-counts.ts';
import type { StepName, StepOutputs } from '../../../protocol/steps.ts';

export interface SeededHub {
  readonly url: string;
  readonly token: string;
  readonly client: Client;
  readonly agent: ScriptedAgent;
  createProject(slug: string): Promise<Project>;
  /** Commits to the project's repository and pushes. @returns the job that the agent receives */
  push(project: Project, subject: string): Promise<JobPlayer>;
  /** Returns the next job that the agent receives. */
  nextJob(): Promise<JobPlayer>;
  stop(): Promise<void>;
}

export const NEXT_VERSION = '0.2.0';

export async function seedHub(): Promise<SeededHub> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-console-'));
  const config = readConfig({
    ORKESTR_HUB_STATE: join(folder, 'hub'),
    ORKESTR_HUB_LISTEN: '127.0.0.1:0',
    ORKESTR_HUB_RELEASES: putRelease(join(folder, 'releases')),
    ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1',
  });
  const hub = await startHub(config, makeLogger('hub', 'silent'));
  const url = hub.deps.hubUrl();
  const account = await createAccount(hub.deps.db, systemClock, { email: 'ada@example.com', team: 'Ada', plan: 'pro' });
  const client = new Client({ url, token: account.token });
  const agent = await enrolAgent(client);
  const nextJob = async (): Promise<JobPlayer> => {
    const job = await agent.job();
    if (job.kind === 'remove') throw new Error('A removal was not expected.');
    return new JobPlayer(agent, job);
  };
  return {
    url,
    token: account.token,
    client,
    agent,
    nextJob,
    createProject: (slug) => client.post('/projects', { slug }, Project),
    async push(project, subject) {
      await pushCommit(join(folder, 'trees', project.slug), project.gitRemote ?? '', account.token, subject);
      return nextJob();
    },
    async stop() {
      agent.socket.terminate();
      await client.close();
      await hub.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A release newer than the one that the agent reports. */
function putRelease(folder: string): string {
  mkdirSync(folder);
  const files = [{ name: 'SHA256SUMS', bytes: 0, sha256: '0'.repeat(64) }];
  const manifest = { version: NEXT_VERSION, publicKey: `${'A'.repeat(59)}=`, protocol: 2, files };
  writeFileSync(join(folder, 'release.json'), JSON.stringify(manifest));
  return folder;
}

async function enrolAgent(client: Client): Promise<ScriptedAgent> {
  const key = makeKeyPair();
  const { joinToken } = await client.post('/hosts', { name: 'vps-1' }, MadeHost);
  const body = { joinToken, name: 'vps-1', publicKey: key.publicKey };
  const { hostId, hubPublicKey } = await client.post('/enrol', body, EnrolAnswer);
  const agent = new ScriptedAgent(client.url, hubPublicKey);
  await agent.shakeHands(hostId, key);
  return agent;
}

async function pushCommit(tree: string, remote: string, token: string, subject: string): Promise<void> {
  const config = {
    'user.name': 'Ada',
    'user.email': 'ada@example.com',
    'http.extraHeader': `Authorization: Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
  };
  const env = Object.entries(config).flatMap(([name, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, name],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  const git = (...args: string[]): Promise<unknown> =>
    promisify(execFile)('git', args, {
      cwd: tree,
      env: { PATH: process.env.PATH, GIT_CONFIG_COUNT: String(Object.keys(config).length), ...Object.fromEntries(env) },
    });
  mkdirSync(tree, { recursive: true });
  await git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(tree, 'subject.txt'), subject);
  await git('add', '--all');
  await git('commit', '--quiet', '--message', subject);
  await git('push', '--quiet', remote, 'HEAD:main');
}

/** Sends what an agent reports about one job. */
export class JobPlayer {
  readonly job: ReleaseJob;
  readonly #agent: ScriptedAgent;
  readonly #started = new Map<StepName, string>();
  readonly #bytes = new Map<StepName, number>();

  constructor(agent: ScriptedAgent, job: ReleaseJob) {
    this.#agent = agent;
    this.job = job;
  }

  get id(): string {
    return this.job.deploymentId;
  }

  async run(): Promise<void> {
    const { deploymentId, generation } = this.job;
    await this.#agent.report({ kind: 'deployment', deploymentId, generation, status: 'running', at: now() });
  }

  async begin(step: StepName): Promise<void> {
    const startedAt = now();
    this.#started.set(step, startedAt);
    await this.#agent.report({ kind: 'step', deploymentId: this.id, step, status: 'running', startedAt, ms: null });
  }

  async log(step: StepName, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const offset = this.#bytes.get(step) ?? 0;
    this.#bytes.set(step, offset + bytes.length);
    await this.#agent.report({ kind: 'log', deploymentId: this.id, step, offset, data: bytes.toString('base64') });
  }

  async done<N extends StepName>(step: N, ms: number, output: StepOutputs[N]): Promise<void> {
    const startedAt = this.#started.get(step) ?? now();
    await this.#agent.report({ kind: 'step', deploymentId: this.id, step, status: 'done', startedAt, ms, output });
  }

  async fail(step: StepName, ms: number, error: ErrorReport): Promise<void> {
    const { deploymentId, generation } = this.job;
    const startedAt = this.#started.get(step) ?? now();
    await this.#agent.report({ kind: 'step', deploymentId, step, status: 'failed', startedAt, ms, error });
    await this.#agent.report({ kind: 'deployment', deploymentId, generation, status: 'failed', at: now(), error });
  }

  /** Reports the steps from health to the end, and the deployment as live. */
  async goLive(receipt: Partial<StepOutputs['cutover']> = {}): Promise<void> {
    const { deploymentId, generation, commit } = this.job;
    await this.done('health', 812, {
      probe: 'http',
      attempts: 3,
      ms: 812,
      last: 'HTTP 200 in 4 ms',
      listeners: [{ address: '0.0.0.0', port: 3000 }],
      foundPort: null,
    });
    const output = {
      generation,
      flippedAt: now(),
      previous: null,
      current: side(deploymentId, 42),
      drain: null,
      held: null,
      failed: 0,
      urls: [],
      ...receipt,
    };
    await this.done('cutover', 1240, output);
    const release = { ...exampleRelease(deploymentId), commit, plan: PLAN, liveAt: now() };
    await this.done('finalize', 350, release);
    await this.#agent.report({ kind: 'deployment', deploymentId, generation, status: 'live', at: now(), release });
  }

  async cancelled(): Promise<void> {
    const { deploymentId, generation } = this.job;
    await this.#agent.report({ kind: 'deployment', deploymentId, generation, status: 'cancelled', at: now() });
  }

  /** Reports the steps from clone to deploy. */
  async build(subject: string, log: readonly string[]): Promise<void> {
    await this.run();
    await this.prepare(subject);
    await this.begin('build');
    for (const text of log) await this.log('build', text);
    await this.built(12_345);
  }

  /** Reports clone and analyze. */
  async prepare(subject: string): Promise<void> {
    await this.begin('clone');
    await this.log('clone', `Fetching ${this.job.commit} of main\n`);
    await this.done('clone', 412, { commit: this.job.commit, subject, author: 'Ada', files: 23, bytes: 81_920 });
    await this.done('analyze', 38, PLAN);
  }

  /** Reports the end of build, and deploy. */
  async built(ms: number): Promise<void> {
    await this.done('build', ms, {
      ...exampleRelease(this.id).image,
      bytes: 88_290_304,
      peakMemoryBytes: 412_000_000,
      baseImages: { 'node:26-trixie-slim': 'sha256:1' },
      exposedPorts: [3000],
    });
    await this.done('deploy', 640, {
      containerId: 'c'.repeat(64),
      containerName: `orkestr-${this.id}`,
      address: '172.19.0.5',
      port: 3000,
      portFrom: 'package.json scripts.start',
      portGuessed: true,
    });
  }
}

const now = (): string => new Date().toISOString();

const PLAN: StepOutputs['analyze'] = {
  detector: 'node',
  confidence: 'certain',
  portGuessed: true,
  framework: 'Express',
  runtime: 'Node.js 26',
  port: 3000,
  installCommand: 'npm ci',
  startCommand: 'npm start',
  evidence: [
    { subject: 'framework', value: 'Express', from: 'package.json dependencies.express' },
    { subject: 'runtime', value: 'Node.js 26', from: 'package.json engines.node' },
    { subject: 'install', value: 'npm ci', from: 'package-lock.json' },
    { subject: 'start', value: 'npm start', from: 'package.json scripts.start' },
    { subject: 'port', value: '3000', from: 'server.js reads $PORT, else 3000' },
  ],
  warnings: ['package.json has no engines.node, so orkestr uses Node.js 26.'],
  rootDirectory: '.',
  dockerfile: {
    origin: 'generated',
    path: 'Dockerfile',
    text: 'FROM node:26-trixie-slim AS build\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nUSER node\nCMD ["npm", "start"]\n',
  },
  files: [],
};

export const HOST_STATUS: HostStatus = {
  agentVersion: '0.1.0',
  engine: { reachable: true, version: '28.2.2', liveRestore: false },
  proxy: { reachable: true },
  cgroupVersion: '2',
  memory: { totalBytes: 8 * 2 ** 30, availableBytes: 5.2 * 2 ** 30 },
  disk: { totalBytes: 80 * 2 ** 30, availableBytes: 9 * 2 ** 30 },
  outbox: 0,
};

/** Response to `GET` of a path below /api/v1, to check the effect of a click. */
export const read = <T>(hub: SeededHub, schema: z.ZodType<T>, ...path: string[]): Promise<T> =>
  hub.client.get(apiPath(...path), schema);

/** One side of a receipt with this many requests, none of them failed. */
export const side = (targetId: string, served: number): SideCount => ({
  targetId,
  requests: { served, failed: 0 },
  errors: 0,
  firstRequestAt: new Date(Date.now() - 60_000).toISOString(),
  lastRequestAt: now(),
});
