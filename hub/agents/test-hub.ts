/** For tests: the whole flow of the hub, real but for its clock, and an agent whose every word the test writes. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import {
  AGENT_LINK_PATH,
  helloProof,
  HubMessage,
  type AgentMessage,
  type Report,
  welcomeProof,
} from '../../protocol/agent-link.ts';
import { Settings, type Job } from '../../protocol/job.ts';
import { makeSealer } from '../../protocol/sealing.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import { isSignedBy, type KeyPairPem, makeKeyPair, openJob, signText } from '../../protocol/signing.ts';
import type { Release } from '../../protocol/steps.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { buildApp } from '../app.ts';
import { readConfig } from '../config.ts';
import type { HubDeps } from '../deps.ts';
import { makeGitRemotes } from '../git/remote.ts';
import { Repositories } from '../git/repositories.ts';
import { makeCommitResolver } from '../git/resolver.ts';
import type { OutsideOptions } from '../notify/outside.ts';
import type { PlanKey } from '../plans.ts';
import { makeHostWatch } from '../notify/host-watch.ts';
import { makeNotifier } from '../notify/notifier.ts';
import { makeNews } from '../scheduler/news.ts';
import { makeScheduler } from '../scheduler/scheduler.ts';
import type { SeatLimits } from '../seats.ts';
import { createAccount, type Account } from '../setup.ts';
import { openDatabase } from '../store/database.ts';
import { insertEnvironment } from '../store/environments.ts';
import { insertHost } from '../store/hosts.ts';
import { insertProject } from '../store/projects.ts';
import { watchPlans } from '../store/test-plans.ts';
import { makeUpgrades } from '../upgrades/upgrades.ts';
import { makeUptime } from '../uptime.ts';
import { type AgentTiming, makeAgents } from './link.ts';
import { Sessions } from './sessions.ts';

export interface TestHub {
  readonly url: string;
  readonly folder: string;
  readonly deps: HubDeps & {
    readonly scheduler: ReturnType<typeof makeScheduler>;
    readonly upgrades: ReturnType<typeof makeUpgrades>;
    readonly notifier: ReturnType<typeof makeNotifier>;
    readonly hostWatch: ReturnType<typeof makeHostWatch>;
  };
  readonly repositories: Repositories;
  readonly account: Account;
  readonly hostId: string;
  readonly hostKey: KeyPairPem;
  readonly projectId: string;
  readonly environmentId: string;
  /** Let time pass, ms. Durations of sockets and timers are not touched. */
  pass(ms: number): void;
  /** Set the clock by so much, ms: no time passes, or the hub does not see it pass. */
  setClock(ms: number): void;
  /** A call below /api/v1 with the account's token. */
  api(method: string, path: string, body?: unknown): Promise<Response>;
  addEnvironment(slug: string, branch: string): Promise<string>;
  /** Another enrolled host of the team. */
  addHost(name: string): Promise<EnrolledHost>;
  connect(options?: ConnectOptions): Promise<ScriptedAgent>;
  /** Stop; with `keep` the state stays and `startTestHub({ resume })` goes on with it. */
  stop(keep?: boolean): Promise<void>;
}

/** What an agent says of itself. */
interface Introduction {
  readonly running?: readonly string[];
  readonly agentVersion?: string;
  readonly oldest?: number;
  /** The newest that it speaks. */
  readonly protocol?: number;
}

export interface EnrolledHost {
  readonly id: string;
  readonly key: KeyPairPem;
}

interface ConnectOptions extends Introduction {
  /** Default the first host. */
  readonly host?: EnrolledHost;
  readonly key?: KeyPairPem;
}

export interface TestHubOptions {
  readonly plan?: PlanKey;
  readonly timing?: AgentTiming;
  readonly sizeLimit?: number;
  readonly refLimit?: number;
  /** How long a push waits for another one. */
  readonly turnMs?: number;
  /** Between two looks of the scheduler for what was lost, ms. */
  readonly sweepMs?: number;
  /** Of requests to the git remote. */
  readonly seats?: SeatLimits;
  readonly env?: Readonly<Record<string, string>>;
  /** How notifications find and trust their receivers; they are sent when the test says so. */
  readonly outside?: OutsideOptions;
  /** A stopped hub whose state and address are taken over. */
  readonly resume?: TestHub;
}

/** Time passes in pieces of this, as the hub sees it pass. */
const TICK_MS = 5_000;
const TIMING: AgentTiming = { heartbeatMs: 15_000, handshakeMs: 10_000 };

/** A hub that goes with its test. */
export async function hub(t: TestContext, options: TestHubOptions = {}): Promise<TestHub> {
  const started = await startTestHub(options);
  t.after(() => started.stop());
  return started;
}

/** A hub with an account, a host and the project `shop`; `stop` is the caller's. */
export async function startTestHub(options: TestHubOptions = {}): Promise<TestHub> {
  const { resume } = options;
  const folder = resume?.folder ?? mkdtempSync(join(tmpdir(), 'orkestr-hub-'));
  let offset = 0;
  let url = 'http://127.0.0.1:1';
  const db = await openDatabase(join(folder, 'hub.sqlite'));
  const watched = watchPlans(db);
  const clock = { now: () => new Date(Date.UTC(2030, 0, 1) + offset) };
  const log = makeLogger('hub', 'silent');
  const uptime = makeUptime({ clock, log });
  const core = {
    db: watched.db,
    sealer: makeSealer(Buffer.alloc(32, 7)),
    config: readConfig({ ORKESTR_HUB_STATE: folder, ORKESTR_ALLOW_HTTP_REPOSITORIES: '1', ...options.env }),
    clock,
    uptime,
    log,
    hubKey: resume?.deps.hubKey ?? makeKeyPair(),
    hubUrl: () => url,
  };
  const sessions = new Sessions();
  const news = makeNews();
  const repositories = new Repositories(folder);
  const scheduler = makeScheduler({ ...core, links: sessions, news }, options);
  const upgrades = makeUpgrades({ ...core, links: sessions });
  const agents = makeAgents({ ...core, sessions, scheduler, news, upgrades }, options.timing ?? TIMING);
  const git = makeGitRemotes(
    { ...core, repositories, scheduler, links: sessions },
    {
      ...(options.sizeLimit !== undefined && { sizeLimit: options.sizeLimit }),
      ...(options.refLimit !== undefined && { refLimit: options.refLimit }),
      ...(options.turnMs !== undefined && { turnMs: options.turnMs }),
      ...(options.seats !== undefined && { seats: options.seats }),
    },
  );
  const resolver = makeCommitResolver({ ...core, repositories });
  const notifier = makeNotifier(core, options.outside);
  const hostWatch = makeHostWatch({ ...core, links: sessions });
  const deps = { ...core, scheduler, agents, git, resolver, news, upgrades, notifier, hostWatch };
  await git.start();
  await scheduler.start();
  await upgrades.start();
  const app = await buildApp(deps, { consoleFolder: join(folder, 'no-console'), cliFile: join(folder, 'no-cli') });
  url = await app.listen({ host: '127.0.0.1', port: resume === undefined ? 0 : Number(new URL(resume.url).port) });

  // What the test itself asks is not watched.
  const own = { ...core, db };
  const place = resume ?? (await seed(own, options.plan ?? 'pro'));
  const { account, hostId, hostKey, projectId, environmentId } = place;
  const opened: ScriptedAgent[] = [];

  return {
    url,
    folder,
    deps: { ...deps, db },
    repositories,
    account,
    hostId,
    hostKey,
    projectId,
    environmentId,
    pass(ms) {
      for (let leftMs = ms; leftMs > 0; leftMs -= TICK_MS) {
        offset += Math.min(leftMs, TICK_MS);
        uptime.look();
      }
    },
    setClock: (ms) => void (offset += ms),
    api: (method, path, body) =>
      fetch(`${url}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${account.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    addEnvironment: (slug, branch) => addEnvironment(own, place, slug, branch),
    addHost: (name) => addHost(own, account.teamId, name),
    async connect({ host = { id: hostId, key: hostKey }, key = host.key, ...introduction } = {}) {
      const agent = new ScriptedAgent(url, core.hubKey.publicKey);
      opened.push(agent);
      await agent.shakeHands(host.id, key, introduction);
      return agent;
    },
    async stop(keep = false) {
      for (const agent of opened) agent.socket.terminate();
      await scheduler.stop();
      await upgrades.stop();
      await notifier.stop();
      await agents.stop();
      await git.stop();
      await app.close();
      const slow = await watched.slow();
      await db.destroy();
      if (!keep) rmSync(folder, { recursive: true });
      assert.deepEqual(slow, [], 'statements that take longer by the day');
    },
  };
}

type Place = Pick<TestHub, 'account' | 'hostId' | 'hostKey' | 'projectId' | 'environmentId'>;
type Core = Pick<HubDeps, 'db' | 'clock'>;

/** A team with one enrolled host and the project `shop`, whose environment `production` deploys `main` there. */
async function seed(core: Core, plan: PlanKey): Promise<Place> {
  const account = await createAccount(core.db, core.clock, { email: 'a@example.com', team: 'Team', plan });
  const { id: hostId, key: hostKey } = await addHost(core, account.teamId, 'vps-1');
  const projectId = randomUUIDv7();
  const created_at = core.clock.now().toISOString();
  const team_id = account.teamId;
  await insertProject(core.db, { id: projectId, team_id, slug: 'shop', origin: 'hub', created_at });
  const environmentId = await addEnvironment(core, { hostId, projectId }, 'production', 'main');
  return { account, hostId, hostKey, projectId, environmentId };
}

async function addHost({ db, clock }: Core, team_id: string, name: string): Promise<EnrolledHost> {
  const [id, key] = [randomUUIDv7(), makeKeyPair()];
  const created_at = clock.now().toISOString();
  await insertHost(db, { id, team_id, name, public_key: key.publicKey, acknowledged: 0, created_at });
  return { id, key };
}

async function addEnvironment(
  { db, clock }: Core,
  { hostId, projectId }: Pick<Place, 'hostId' | 'projectId'>,
  slug: string,
  branch: string,
): Promise<string> {
  const id = randomUUIDv7();
  await insertEnvironment(db, {
    id,
    project_id: projectId,
    slug,
    branch,
    host_id: hostId,
    created_at: clock.now().toISOString(),
    settings: Settings.parse({ domains: [{ host: `${slug}.example.com` }] }),
  });
  return id;
}

/** A WebSocket client that says what the test tells it to, and keeps what it hears. */
export class ScriptedAgent {
  readonly socket: WebSocket;
  readonly heard: HubMessage[] = [];
  readonly closed: Promise<number>;
  readonly #hubKey: string;
  #taken = 0;
  #acknowledged = 0;
  #sequence = 0;

  constructor(url: string, hubPublicKey: string) {
    this.#hubKey = hubPublicKey;
    this.socket = new WebSocket(url.replace('http', 'ws') + AGENT_LINK_PATH);
    this.socket.on('error', () => undefined); // seen as a close
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
    this.socket.on('message', (data: Buffer) => {
      const message = HubMessage.parse(JSON.parse(data.toString('utf8')));
      if (message.type === 'ack') this.#acknowledged = message.sequence;
      this.heard.push(message);
    });
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  async shakeHands(
    hostId: string,
    key: KeyPairPem,
    { running = [], agentVersion = '0.1.0', oldest = OLDEST_PROTOCOL, protocol = PROTOCOL_VERSION }: Introduction = {},
  ): Promise<void> {
    const { nonce } = await this.next('challenge');
    const own = randomBytes(32).toString('base64url');
    this.say({
      type: 'hello',
      protocol: oldest,
      newest: protocol,
      hostId,
      agentVersion,
      nonce: own,
      signature: signText(helloProof(nonce, hostId, own), key.privateKey),
      running: [...running],
    });
    const welcome = await this.next('welcome');
    if (!isSignedBy(welcomeProof(own, welcome.sessionId), welcome.signature, this.#hubKey)) {
      throw new Error('the hub did not prove its key');
    }
    this.#acknowledged = welcome.acknowledged;
    this.#sequence = welcome.acknowledged;
  }

  say(message: AgentMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Send a report under the next number and wait until the hub has stored it. */
  async report(report: Report): Promise<void> {
    this.#sequence += 1;
    this.say({ type: 'report', sequence: this.#sequence, report });
    await this.stored(this.#sequence);
  }

  async stored(sequence: number): Promise<void> {
    while (this.#acknowledged < sequence) await this.#more();
  }

  /** The next message of that type that no earlier call has got; others in between are passed over. */
  async next<T extends HubMessage['type']>(type: T): Promise<Extract<HubMessage, { type: T }>> {
    for (;;) {
      while (this.#taken < this.heard.length) {
        const message = this.heard[this.#taken];
        this.#taken += 1;
        if (message?.type === type) return message as Extract<HubMessage, { type: T }>;
      }
      await this.#more();
    }
  }

  async job(): Promise<Job> {
    return openJob((await this.next('job')).envelope, this.#hubKey);
  }

  /** All jobs heard so far, in order. */
  get jobs(): Job[] {
    return this.heard.flatMap((message) => (message.type === 'job' ? [openJob(message.envelope, this.#hubKey)] : []));
  }

  /** A deployment that goes well, told from start to end. */
  async live(job: Job, release = exampleRelease(job.deploymentId)): Promise<void> {
    const { deploymentId, generation } = job;
    await this.report({ kind: 'deployment', deploymentId, generation, status: 'running', at: AT });
    await this.report({ kind: 'deployment', deploymentId, generation, status: 'live', at: AT, release });
  }

  async end(job: Job, status: 'failed' | 'cancelled' | 'superseded'): Promise<void> {
    const { deploymentId, generation } = job;
    await this.report({ kind: 'deployment', deploymentId, generation, status, at: AT });
  }

  async leave(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  async #more(): Promise<void> {
    const heard = this.heard.length;
    const message = new Promise<void>((resolve, reject) => {
      const never = setTimeout(() => reject(new Error('the hub said nothing more')), NEVER_MS);
      void this.closed.then(() => clearTimeout(never));
      this.socket.once('message', () => {
        clearTimeout(never);
        resolve();
      });
    });
    const closed = this.closed.then((code) => {
      if (this.heard.length === heard) throw new Error(`the hub closed the connection (${code})`);
    });
    await Promise.race([message, closed]);
  }
}

export const AT = '2030-01-01T00:00:00.000Z';
export const COMMIT = 'a'.repeat(40);

export function exampleRelease(deploymentId: string): Release {
  return {
    deploymentId,
    commit: COMMIT,
    plan: {
      detector: 'node',
      confidence: 'certain',
      portGuessed: true,
      framework: 'node',
      runtime: 'node 24',
      evidence: [],
      warnings: [],
      rootDirectory: '.',
      dockerfile: { origin: 'generated', path: 'Dockerfile', text: 'FROM scratch' },
      files: [],
    },
    image: {
      id: `sha256:${'0'.repeat(64)}`,
      reference: 'orkestr/x:y',
      bytes: 1,
      baseImages: {},
      peakMemoryBytes: null,
      exposedPorts: [],
      hasHealthcheck: false,
    },
    liveAt: AT,
    supersedes: null,
    foundPort: null,
    prunedImages: [],
  };
}

/** A wait that is a failure, ms: far beyond what a loaded machine needs. */
const NEVER_MS = 60_000;

/** Wait for something that nobody tells of. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + NEVER_MS;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`never came true: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
