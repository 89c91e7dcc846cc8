/**
 * What the parts of the hub need of each other. main.ts builds everything and hands it on; nothing else makes an
 * instance. A part that another one needs is an interface here, so that no two parts import each other.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Sealer } from '../protocol/sealing.ts';
import type { Logger } from '../protocol/service/logger.ts';
import type { KeyPairPem } from '../protocol/signing.ts';
import type { EdgeNews, HubMessage, UpgradeNews } from '../protocol/agent-link.ts';
import type { AppLogRead, AppLogRequest } from '../protocol/app-log.ts';
import type { ErrorReport } from '../protocol/errors.ts';
import type { HubConfig } from './config.ts';
import type { Db } from './store/database.ts';
import type { DeploymentRequest } from './store/deployments.ts';
import type { Row } from './store/schema.ts';

/**
 * The Fastify instance that API files register their routes on: `registerX(app: HubApp, deps: HubDeps): void`, with
 * paths below API_PREFIX: `app.get('/tokens', { ...requireScope('admin'), schema }, handler)`.
 */
export type HubApp = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

export interface Clock {
  now(): Date;
}

/**
 * What silence and limits are counted by (hub/uptime.ts): a step of the clock is no time that went by, and while the hub stood
 * still nobody could be heard.
 */
export interface Uptime {
  /** From when on is counted what was noted at a moment, both ms since the epoch: from when the hub has been up, at the earliest. */
  from(moment: number): number;
  /** Ms that have gone by since then. */
  elapsed(moment: number): number;
}

/** What every part may use and none of them owns. */
export interface CoreDeps {
  readonly db: Db;
  readonly sealer: Sealer;
  readonly config: HubConfig;
  readonly clock: Clock;
  readonly uptime: Uptime;
  readonly log: Logger;
  /** Signs jobs and welcomes; hosts pin the public half at enrolment. */
  readonly hubKey: KeyPairPem;
  /** Public URL without trailing slash. A function, since the port may only be known once it listens. */
  hubUrl(): string;
}

/** A part of the hub that works by itself. */
export interface Part {
  start(): Promise<void>;
  /** What is under way is let end. */
  stop(): Promise<void>;
}

export interface HubDeps extends CoreDeps {
  readonly notifier: Notifier;
  readonly hostWatch: Part;
  readonly scheduler: Scheduler;
  readonly agents: Agents;
  readonly git: GitRemotes;
  readonly resolver: CommitResolver;
  readonly news: News;
  readonly upgrades: Upgrades;
}

/** Decides which deployment runs when (hub/scheduler). */
export interface Scheduler {
  /** Take up what the store says is waiting or running. Called once, when the hub listens. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Delete an environment with all that hangs on it, and take it off its host. One transaction, so that nothing is deployed in
   * between; an offline host hears of it when it is back. @throws OrkestrError ORK_NOT_FOUND
   */
  removeEnvironment(environmentId: string): Promise<void>;
  /** The same for a project and all of its environments. */
  removeProject(projectId: string): Promise<void>;
  /**
   * Store a deployment and let it run when its turn is there. Answers its id.
   * @throws OrkestrError ORK_NOT_FOUND; ORK_TOO_MANY_REQUESTS when many wait there that no push replaces
   */
  create(request: DeploymentRequest): Promise<string>;
  /**
   * A waiting one ends at once, a running one when its host has heard of it.
   * @param giveUp end one whose host is away at once, as lost: it may go live there still, and then that is what is shown
   * @throws OrkestrError ORK_CONFLICT when it has ended already, or is to be given up while its host is connected
   */
  cancel(deploymentId: string, giveUp?: boolean): Promise<void>;
  /** Before a host can get anything: what was taken for lost and is in `running` after all runs again. */
  hostReturns(hostId: string, running: readonly string[]): Promise<void>;
  /** A host is here: it gets what it missed. `running`: what its journal holds as accepted and not ended. */
  hostConnected(hostId: string, running: readonly string[]): Promise<void>;
  /** The host works on these still. Answers those of them that it holds a lease for. */
  renewLeases(hostId: string, deploymentIds: readonly string[]): Promise<readonly string[]>;
  /** Its host gets its job: the second one when it is built, the first one again when it has another generation now. */
  handOn(deploymentId: string): Promise<void>;
  /** Something of this environment ended: see what is next. */
  settle(environmentId: string): Promise<void>;
  /** Routes or edge settings of the environment are others: its host is told. */
  edgeChanged(environmentId: string): Promise<void>;
  /** What the host says of them. */
  edgeHeard(hostId: string, news: EdgeNews): Promise<void>;
}

/** Wakes those who follow a deployment. Only a hint: what is new stands in the store. */
export interface News {
  tell(deploymentId: string): void;
  /** Resolves at the next news of the deployment, after `ms` or when aborted, whichever comes first. */
  next(deploymentId: string, ms: number, signal: AbortSignal): Promise<void>;
}

/** What runs on a connected host. */
export interface Peer {
  readonly agentVersion: string;
  /** Version of the protocol that is spoken with it. */
  readonly protocol: number;
  /** When it connected. */
  readonly since: Date;
}

/** The way to the hosts that are connected now. */
export interface HostLinks {
  isOnline(hostId: string): boolean;
  /** Undefined when the host is not connected. */
  peer(hostId: string): Peer | undefined;
  /** False when the host is not connected. True is no receipt: what must arrive is sent again on the next connection. */
  send(hostId: string, message: HubMessage): boolean;
}

/** Live sessions of the hosts (hub/agents). */
export interface Agents extends HostLinks {
  /** Why a host that proved its key could not connect the last time; undefined when it could. */
  refusal(hostId: string): ErrorReport | undefined;
  /**
   * Read the log of an environment's app, live from its host; to be closed when nobody reads on.
   * @throws OrkestrError ORK_HOST_OFFLINE, ORK_PROTOCOL_AGENT_OLD
   */
  readAppLog(hostId: string, request: AppLogRequest): AppLogRead;
  /** End the session of a host whose key is no longer valid. */
  disconnect(hostId: string): void;
  /** Take over a WebSocket upgrade of AGENT_LINK_PATH. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** End every session; hosts come back by themselves when the hub is up again. */
  stop(): Promise<void>;
}

/** Brings hosts to the release that the hub hands on (hub/upgrades). */
export interface Upgrades {
  /** Take up what the store says is under way. Called once, before hosts can connect. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Begin one; everything has been checked. Answers its id.
   * @throws OrkestrError ORK_CONFLICT while another upgrade of the team is not over
   */
  create(request: UpgradeRequest): Promise<string>;
  /** Hosts that failed are tried again. @throws OrkestrError ORK_CONFLICT when it is not paused */
  resume(id: string): Promise<void>;
  /** Leave hosts out that wait or failed. @throws OrkestrError ORK_CONFLICT */
  skip(id: string, hostIds: readonly string[]): Promise<void>;
  /** No other host is begun; one that is under way ends. @throws OrkestrError ORK_CONFLICT when it is over */
  cancel(id: string): Promise<void>;
  heard(hostId: string, news: UpgradeNews): Promise<void>;
  hostConnected(hostId: string): Promise<void>;
}

interface UpgradeRequest {
  readonly teamId: string;
  readonly version: string;
  /** In the order in which they are upgraded. */
  readonly hostIds: readonly string[];
  readonly atOnce: number;
}

/** Sends notifications to their receivers (hub/notify). */
export interface Notifier extends Part {
  /** Send a test at once. @throws OrkestrError one of ORK_NOTIFY_…, saying what failed */
  test(receiver: Row<'receiver'>): Promise<void>;
}

/** The hub's own git remote (hub/git). */
export interface GitRemotes {
  /** Listen for pushes that have landed. */
  start(): Promise<void>;
  /** End what still runs. */
  stop(): Promise<void>;
  /**
   * Make the empty bare repository, which is a stray one until the transaction that stores its project says otherwise
   * (store/stray-repositories.ts).
   */
  createRepository(projectId: string): Promise<void>;
  /** Remove that of no project. One that cannot go now goes at the next start. */
  removeRepository(projectId: string): Promise<void>;
  /** Answer a request below /git/, raw: bodies are streamed. */
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/** Which commit a branch is at (hub/git): in the own remote, or at the external one by ls-remote. */
export interface CommitResolver {
  /**
   * With the branch that was asked for: the environment's may be another one when the answer comes.
   * @throws OrkestrError ORK_BRANCH_UNKNOWN, ORK_REPO_EMPTY, ORK_REPO_ACCESS, ORK_REPO_ADDRESS, ORK_REPO_UNREACHABLE
   */
  resolve(environmentId: string): Promise<{ readonly commit: string; readonly branch: string }>;
  /** Whether the commit may be deployed. @throws OrkestrError ORK_COMMIT_UNKNOWN (own remote; external ones say it at clone) */
  checkCommit(environmentId: string, commit: string): Promise<void>;
}
