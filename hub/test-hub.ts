/** For tests: a complete hub, real except for its clock. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeSealer } from '../protocol/sealing.ts';
import { makeLogger } from '../protocol/service/logger.ts';
import { type KeyPairPem, makeKeyPair } from '../protocol/signing.ts';
import { type AgentTiming, AgentServer } from './agents/link.ts';
import { Sessions } from './agents/sessions.ts';
import { type Introduction, ScriptedAgent } from './agents/test-agent.ts';
import { buildApp } from './app.ts';
import type { ConcurrencyLimits } from './concurrency-limit.ts';
import { readConfig } from './config.ts';
import type { HubDeps } from './deps.ts';
import { GitServer } from './git/remote.ts';
import { Repositories } from './git/repositories.ts';
import { makeCommitResolver } from './git/resolver.ts';
import { makeHostWatch } from './notify/host-watch.ts';
import { NotificationSender } from './notify/notifier.ts';
import type { OutboundOptions } from './outbound/post.ts';
import type { PlanKey } from './plans.ts';
import { makeNews } from './scheduler/news.ts';
import { makeScheduler } from './scheduler/scheduler.ts';
import type { Account } from './setup.ts';
import { openDatabase } from './store/database.ts';
import { watchPlans } from './store/test-plans.ts';
import { addEnvironment, addHost, type EnrolledHost, seed } from './test-seed.ts';
import { HostUpgrades } from './upgrades/upgrades.ts';
import { makeUptime } from './uptime.ts';

export interface TestHub {
  readonly url: string;
  readonly folder: string;
  readonly deps: HubDeps & {
    readonly scheduler: ReturnType<typeof makeScheduler>;
    readonly upgrades: HostUpgrades;
    readonly notifier: NotificationSender;
    readonly hostWatch: ReturnType<typeof makeHostWatch>;
  };
  readonly repositories: Repositories;
  readonly account: Account;
  readonly hostId: string;
  readonly hostKey: KeyPairPem;
  readonly projectId: string;
  readonly environmentId: string;
  /** Lets time pass, ms. Sockets and timers keep their own time. */
  pass(ms: number): void;
  /** Moves the clock by `ms` without time passing, as a clock step or an unnoticed suspend does. */
  setClock(ms: number): void;
  /** A call below /api/v1 with the account's token. */
  api(method: string, path: string, body?: unknown): Promise<Response>;
  addEnvironment(slug: string, branch: string): Promise<string>;
  /** Enrols another host of the team. */
  addHost(name: string): Promise<EnrolledHost>;
  connect(options?: ConnectOptions): Promise<ScriptedAgent>;
  /** Stops the hub. With `keep` its state stays, and `startTestHub({ resume })` continues with it. */
  stop(keep?: boolean): Promise<void>;
}

interface ConnectOptions extends Introduction {
  /** Defaults to the first host. */
  readonly host?: EnrolledHost;
  readonly key?: KeyPairPem;
}

export interface TestHubOptions {
  readonly plan?: PlanKey;
  readonly timing?: AgentTiming;
  /** Interval of the scheduler's sweep for lost deployments, ms. */
  readonly sweepMs?: number;
  readonly sizeLimit?: number;
  readonly refLimit?: number;
  /** How long a push waits for another one, ms. */
  readonly turnMs?: number;
  /** Of requests to the git remote. */
  readonly concurrency?: ConcurrencyLimits;
  readonly env?: Readonly<Record<string, string>>;
  /** How notifications resolve and trust their receivers; the test triggers sending. */
  readonly outbound?: OutboundOptions;
  /** A stopped hub whose state and address the new hub takes over. */
  readonly resume?: TestHub;
}

/** Time passes in ticks of this length, so that the hub sees it pass. */
const TICK_MS = 5_000;
const TIMING: AgentTiming = { heartbeatMs: 15_000, handshakeMs: 10_000 };

/** A hub that stops with its test. */
export async function hub(t: TestContext, options: TestHubOptions = {}): Promise<TestHub> {
  const started = await startTestHub(options);
  t.after(() => started.stop());
  return started;
}

/** A hub with an account, a host and the project `shop`; the caller calls `stop`. */
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
  const upgrades = new HostUpgrades({ ...core, links: sessions });
  const agents = new AgentServer({ ...core, sessions, scheduler, news, upgrades }, options.timing ?? TIMING);
  const git = new GitServer(
    { ...core, repositories, scheduler, links: sessions },
    {
      ...(options.sizeLimit !== undefined && { sizeLimit: options.sizeLimit }),
      ...(options.refLimit !== undefined && { refLimit: options.refLimit }),
      ...(options.turnMs !== undefined && { turnMs: options.turnMs }),
      ...(options.concurrency !== undefined && { concurrency: options.concurrency }),
    },
  );
  const resolver = makeCommitResolver({ ...core, repositories });
  const notifier = new NotificationSender(core, options.outbound);
  const hostWatch = makeHostWatch({ ...core, links: sessions });
  const deps = { ...core, scheduler, agents, git, resolver, news, upgrades, notifier, hostWatch };
  await git.start();
  await scheduler.start();
  await upgrades.start();
  const app = await buildApp(deps, {
    consoleFolder: join(folder, 'no-console'),
    docsFolder: join(folder, 'no-docs'),
    cliFile: join(folder, 'no-cli'),
  });
  url = await app.listen({ host: '127.0.0.1', port: resume === undefined ? 0 : Number(new URL(resume.url).port) });

  // The query plans of the test's own statements are not checked.
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
