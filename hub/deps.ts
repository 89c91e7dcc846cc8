/**
 * Interfaces between the parts of the hub. hub.ts builds all instances and passes them on. Each part that another part
 * needs has its interface here, so that no two parts import each other.
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
 * Time base for timeouts and limits (hub/uptime.ts). A step of the clock does not count as elapsed time, nor does time
 * during which the hub stood still and could hear nobody.
 */
export interface Uptime {
  /** Start for measuring from `moment`, both ms since the epoch: not before the hub was up. */
  from(moment: number): number;
  /** Ms elapsed since `moment`. */
  elapsed(moment: number): number;
}

/** Dependencies that every part may use and none owns. */
export interface CoreDeps {
  readonly db: Db;
  readonly sealer: Sealer;
  readonly config: HubConfig;
  readonly clock: Clock;
  readonly uptime: Uptime;
  readonly log: Logger;
  /** Signs jobs and welcomes; hosts pin the public half at enrolment. */
  readonly hubKey: KeyPairPem;
  /** Public URL without trailing slash. A function, since the port may only be known once the hub listens. */
  hubUrl(): string;
}

/** A part of the hub that works by itself. */
export interface Part {
  start(): Promise<void>;
  /** Waits for work in progress. */
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
  /** Picks up the deployments that the store lists as waiting or running. Called once, before the hub listens. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Deletes an environment with everything that belongs to it, and orders its removal from its host. One transaction,
   * so that nothing is deployed in between; an offline host gets the order when it reconnects.
   * @throws OrkestrError ORK_NOT_FOUND
   */
  removeEnvironment(environmentId: string): Promise<void>;
  /** The same for a project and all of its environments. */
  removeProject(projectId: string): Promise<void>;
  /**
   * Stores a deployment and runs it when its turn comes. Returns its id.
   * @throws OrkestrError ORK_NOT_FOUND; ORK_TOO_MANY_REQUESTS when too many that no push replaces are waiting there
   */
  create(request: DeploymentRequest): Promise<string>;
  /**
   * A waiting deployment ends at once, a running one when its host has received the cancel.
   * @param giveUp if the host is offline, end the deployment at once as lost; if it still goes live there, it is shown
   * as live
   * @throws OrkestrError ORK_CONFLICT when it has ended already, or `giveUp` is set while its host is connected
   */
  cancel(deploymentId: string, giveUp?: boolean): Promise<void>;
  /** Called before anything can be sent to the host: lost deployments that are in `running` run again. */
  hostReturns(hostId: string, running: readonly string[]): Promise<void>;
  /** Sends a connected host what it missed. `running`: deployments that its journal holds as accepted and not ended. */
  hostConnected(hostId: string, running: readonly string[]): Promise<void>;
  /** The host still works on these deployments. Returns those that it holds a lease for. */
  renewLeases(hostId: string, deploymentIds: readonly string[]): Promise<readonly string[]>;
  /**
   * Sends the deployment's job to its host: the second job once it is built, or the first again under a new generation.
   */
  handOn(deploymentId: string): Promise<void>;
  /** A deployment of this environment ended: start the next one. */
  settle(environmentId: string): Promise<void>;
  /** Routes or edge settings of the environment changed: send them to its host. */
  edgeChanged(environmentId: string): Promise<void>;
  /** Stores the edge state that a host reports. */
  edgeHeard(hostId: string, news: EdgeNews): Promise<void>;
}

/** Wakes the followers of a deployment. Only a hint: the news itself is in the store. */
export interface News {
  publish(deploymentId: string): void;
  /** Resolves at the next news of the deployment, after `ms` or when aborted, whichever comes first. */
  next(deploymentId: string, ms: number, signal: AbortSignal): Promise<void>;
}

/** The agent of a connected host. */
export interface Peer {
  readonly agentVersion: string;
  /** Protocol version of the connection. */
  readonly protocol: number;
  /** When it connected. */
  readonly since: Date;
}

/** Access to the hosts that are connected now. */
export interface HostLinks {
  isOnline(hostId: string): boolean;
  /** Undefined when the host is not connected. */
  peer(hostId: string): Peer | undefined;
  /**
   * False when the host is not connected. True does not confirm delivery: required messages are repeated on the next
   * connection.
   */
  send(hostId: string, message: HubMessage): boolean;
}

/** Live sessions of the hosts (hub/agents). */
export interface Agents extends HostLinks {
  /** Why a host that proved its key was refused the last time; undefined when it connected. */
  refusal(hostId: string): ErrorReport | undefined;
  /**
   * Reads the log of an environment's app, live from its host; the caller closes the read.
   * @throws OrkestrError ORK_HOST_OFFLINE, ORK_PROTOCOL_AGENT_OLD
   */
  readAppLog(hostId: string, request: AppLogRequest): AppLogRead;
  /** Ends the session of a host whose key is no longer valid. */
  disconnect(hostId: string): void;
  /** Handles a WebSocket upgrade request for AGENT_LINK_PATH. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes all sessions; hosts reconnect by themselves when the hub is up again. */
  stop(): Promise<void>;
}

/** Upgrades hosts to the release that the hub serves (hub/upgrades). */
export interface Upgrades {
  /** Picks up the upgrades that the store lists as open. Called once, before hosts can connect. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Starts an upgrade; the caller has validated the request. Returns its id.
   * @throws OrkestrError ORK_CONFLICT while another upgrade of the team is open
   */
  create(request: UpgradeRequest): Promise<string>;
  /** Retries the hosts that failed. @throws OrkestrError ORK_CONFLICT when it is not paused */
  resume(id: string): Promise<void>;
  /** Skips hosts that are waiting or failed. @throws OrkestrError ORK_CONFLICT */
  skip(id: string, hostIds: readonly string[]): Promise<void>;
  /** Starts no further host; those under way finish. @throws OrkestrError ORK_CONFLICT when it is over */
  cancel(id: string): Promise<void>;
  heard(hostId: string, news: UpgradeNews): Promise<void>;
  hostConnected(hostId: string): Promise<void>;
}

export interface UpgradeRequest {
  readonly teamId: string;
  readonly version: string;
  /** In the order of their upgrades. */
  readonly hostIds: readonly string[];
  readonly atOnce: number;
}

/** Sends notifications to their receivers (hub/notify). */
export interface Notifier extends Part {
  /** Sends a test at once. @throws OrkestrError one of ORK_NOTIFY_…, describing the failure */
  test(receiver: Row<'receiver'>): Promise<void>;
}

/** The hub's own git remote (hub/git). */
export interface GitRemotes {
  /** Watches for pushes that have landed. */
  start(): Promise<void>;
  /** Terminates what still runs. */
  stop(): Promise<void>;
  /**
   * Creates the empty bare repository. It counts as stray until the transaction that stores its project commits
   * (store/stray-repositories.ts).
   */
  createRepository(projectId: string): Promise<void>;
  /** Removes a repository without a project. If that fails, the next start removes it. */
  removeRepository(projectId: string): Promise<void>;
  /** Answers a request below /git/ on the raw streams, since bodies may be of any size. */
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/** Resolves a branch to its commit (hub/git): in the hub's own remote, or at the external one by ls-remote. */
export interface CommitResolver {
  /**
   * Also returns the branch that was resolved: the environment's branch may change meanwhile.
   * @throws OrkestrError ORK_BRANCH_UNKNOWN, ORK_REPO_EMPTY, ORK_REPO_ACCESS, ORK_REPO_ADDRESS, ORK_REPO_UNREACHABLE
   */
  resolve(environmentId: string): Promise<{ readonly commit: string; readonly branch: string }>;
  /**
   * Checks that the commit may be deployed.
   * @throws OrkestrError ORK_COMMIT_UNKNOWN (own remote; for external ones, the clone reports it)
   */
  checkCommit(environmentId: string, commit: string): Promise<void>;
}
