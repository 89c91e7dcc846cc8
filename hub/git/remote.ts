/**
 * The hub's own git remote: smart HTTP (gitprotocol-http(5)) in front of git http-backend, with tokens and a size
 * limit.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { ConcurrencyLimit, type ConcurrencyLimits, type LimitMessages } from '../concurrency-limit.ts';
import type { CoreDeps, GitRemotes, HostLinks, Scheduler } from '../deps.ts';
import { roomBesideHub } from '../disk.ts';
import { addStrayRepository, deleteStrayRepository, listStrayRepositories } from '../store/stray-repositories.ts';
import { type Access, checkAccess, readCredentials } from './access.ts';
import { serveByBackend } from './backend.ts';
import { cgiVariables } from './cgi.ts';
import { DiskBudget } from './disk-budget.ts';
import { isLfs, refuseLfs } from './lfs.ts';
import { MissedPushes } from './missed-pushes.ts';
import { ProjectQuota } from './project-quota.ts';
import { PushHook } from './push-hook.ts';
import { deployMissed, deployPush } from './push.ts';
import { refuse } from './refusal.ts';
import type { Repositories } from './repositories.ts';
import { type GitRequest, readGitRequest } from './request.ts';
import { servePush } from './serve-push.ts';
import { Turns } from './turns.ts';

interface RemoteDeps extends CoreDeps {
  readonly repositories: Repositories;
  readonly scheduler: Pick<Scheduler, 'create'>;
  readonly links: HostLinks;
}

/** Size limit of one project's repository, bytes. */
const PROJECT_SIZE_LIMIT = 1024 ** 3;
/** Limit of branches and tags per project. */
const PROJECT_REF_LIMIT = 50_000;
/** Concurrent requests, each with its git processes: in total and per token. */
const CONCURRENCY: ConcurrencyLimits = { inAll: 32, ofOne: 16 };
/** How long a push waits for another one to the same repository, ms. */
const TURN_MS = 10_000;

const MESSAGES: LimitMessages = {
  inAll: 'The hub cannot serve more git requests at the same time. Try again soon.',
  ofOne: 'This token cannot have more git requests in progress. Try again when some have finished.',
};

interface RemoteLimits {
  readonly sizeLimit?: number;
  readonly refLimit?: number;
  readonly turnMs?: number;
  readonly concurrency?: ConcurrencyLimits;
}

export class GitServer implements GitRemotes {
  readonly #deps: RemoteDeps;
  readonly #missed: MissedPushes;
  readonly #hook: PushHook;
  readonly #limit: ConcurrencyLimit;
  readonly #turns: Turns;
  readonly #quota: ProjectQuota;
  /** Requests in progress, with their project ids. */
  readonly #running = new Map<ServerResponse, string>();
  #stopping = new AbortController();

  constructor(
    deps: RemoteDeps,
    {
      sizeLimit = PROJECT_SIZE_LIMIT,
      refLimit = PROJECT_REF_LIMIT,
      turnMs = TURN_MS,
      concurrency = CONCURRENCY,
    }: RemoteLimits = {},
  ) {
    const { repositories, log, db } = deps;
    const { hooksFolder } = repositories;
    this.#deps = deps;
    this.#missed = new MissedPushes(
      join(hooksFolder, 'missed'),
      (push, updates) => deployMissed(deps, push, updates),
      log,
    );
    this.#hook = new PushHook({
      hooksFolder,
      missed: this.#missed,
      log,
      onPush: (push, updates) => deployPush(deps, push, updates),
    });
    this.#limit = new ConcurrencyLimit(concurrency, MESSAGES);
    this.#turns = new Turns(turnMs);
    const budget = new DiskBudget(() => roomBesideHub(repositories.root));
    this.#quota = new ProjectQuota({ repositories, budget, db, log, sizeLimit, refLimit });
  }

  async start(): Promise<void> {
    const { db, repositories } = this.#deps;
    this.#stopping = new AbortController();
    await repositories.prepare();
    await this.#hook.start();
    await this.#missed.start();
    for (const projectId of await listStrayRepositories(db)) await this.removeRepository(projectId);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const response of this.#running.keys()) response.destroy();
    this.#missed.stop();
    await this.#hook.stop();
  }

  async createRepository(projectId: string): Promise<void> {
    await addStrayRepository(this.#deps.db, projectId);
    await this.#deps.repositories.create(projectId);
  }

  /** Does not throw when files cannot be deleted: the next start tries again. */
  async removeRepository(projectId: string): Promise<void> {
    const { db, repositories, log } = this.#deps;
    for (const [response, project] of this.#running) if (project === projectId) response.destroy();
    try {
      // A push whose connection was cut takes a moment to end, and writes until then.
      await this.#turns.take(projectId, new AbortController().signal, () => repositories.remove(projectId));
      this.#quota.forget(projectId);
      await deleteStrayRepository(db, projectId);
    } catch (error) {
      log.error({ err: error, projectId }, 'the repository of no project is still there');
    }
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (isLfs(request)) return refuseLfs(response);
    this.#answer(request, response).catch((error: unknown) => refuse(this.#deps.log, response, error));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = readGitRequest(request);
    const access = await checkAccess(this.#deps, wanted, readCredentials(request.headers.authorization));
    await this.#limit.run(access.asker, async () => {
      this.#running.set(response, access.projectId);
      try {
        await this.#serve(request, response, wanted, access);
      } finally {
        this.#running.delete(response);
      }
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse, wanted: GitRequest, access: Access): Promise<void> {
    const { repositories } = this.#deps;
    const { projectId, push } = access;
    await repositories.create(projectId);
    const env = { ...repositories.env, ...cgiVariables(request, wanted, access) };
    if (push === undefined) return serveByBackend(request, response, { env });
    await servePush(
      { repositories, hook: this.#hook, quota: this.#quota, turns: this.#turns },
      { request, response, endpoint: wanted.endpoint, push, env },
      this.#stopping.signal,
    );
  }
}
