/**
 * The hub's own git remote: smart HTTP (gitprotocol-http(5)) in front of git http-backend, with tokens and a size
 * limit.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { ConcurrencyLimit, type ConcurrencyLimits } from '../concurrency-limit.ts';
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

interface RemoteLimits {
  readonly sizeLimit?: number;
  readonly refLimit?: number;
  readonly turnMs?: number;
  readonly concurrency?: ConcurrencyLimits;
}

export function makeGitRemotes(
  deps: RemoteDeps,
  {
    sizeLimit = PROJECT_SIZE_LIMIT,
    refLimit = PROJECT_REF_LIMIT,
    turnMs = TURN_MS,
    concurrency: limits = CONCURRENCY,
  }: RemoteLimits = {},
): GitRemotes {
  const { repositories, log } = deps;
  const missed = new MissedPushes(
    join(repositories.hooksFolder, 'missed'),
    (push, updates) => deployMissed(deps, push, updates),
    log,
  );
  const hook = new PushHook({
    hooksFolder: repositories.hooksFolder,
    missed,
    log,
    onPush: (push, updates) => deployPush(deps, push, updates),
  });
  /** Requests in progress, with their project ids. */
  const running = new Map<ServerResponse, string>();
  const limit = new ConcurrencyLimit(limits, {
    inAll: 'The hub cannot serve more git requests at the same time. Try again soon.',
    ofOne: 'This token cannot have more git requests in progress. Try again when some have finished.',
  });
  const turns = new Turns(turnMs);
  const budget = new DiskBudget(() => roomBesideHub(repositories.root));
  const quota = new ProjectQuota({ repositories, budget, db: deps.db, log, sizeLimit, refLimit });
  let stopping = new AbortController();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = readGitRequest(request);
    const access = await checkAccess(deps, wanted, readCredentials(request.headers.authorization));
    await limit.run(access.asker, async () => {
      running.set(response, access.projectId);
      try {
        await serve(request, response, wanted, access);
      } finally {
        running.delete(response);
      }
    });
  }

  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    wanted: GitRequest,
    access: Access,
  ): Promise<void> {
    const { projectId, push } = access;
    await repositories.create(projectId);
    const env = { ...repositories.env, ...cgiVariables(request, wanted, access) };
    if (push === undefined) return serveByBackend(request, response, { env });
    const { endpoint } = wanted;
    await servePush({ repositories, hook, quota, turns }, { request, response, endpoint, push, env }, stopping.signal);
  }

  /** Does not throw when files cannot be deleted: the next start tries again. */
  async function clearAway(projectId: string): Promise<void> {
    for (const [response, project] of running) if (project === projectId) response.destroy();
    try {
      // A push whose connection was cut takes a moment to end, and writes until then.
      await turns.take(projectId, new AbortController().signal, () => repositories.remove(projectId));
      quota.forget(projectId);
      await deleteStrayRepository(deps.db, projectId);
    } catch (error) {
      log.error({ err: error, projectId }, 'the repository of no project is still there');
    }
  }

  return {
    async start() {
      stopping = new AbortController();
      await repositories.prepare();
      await hook.start();
      await missed.start();
      for (const projectId of await listStrayRepositories(deps.db)) await clearAway(projectId);
    },
    async stop() {
      stopping.abort();
      for (const response of running.keys()) response.destroy();
      missed.stop();
      await hook.stop();
    },
    async createRepository(projectId) {
      await addStrayRepository(deps.db, projectId);
      await repositories.create(projectId);
    },
    removeRepository: clearAway,
    handle(request, response) {
      if (isLfs(request)) return refuseLfs(response);
      answer(request, response).catch((error: unknown) => refuse(log, response, error));
    },
  };
}
