/** The hub's own git remote: smart HTTP (gitprotocol-http(5)) in front of git http-backend, with tokens and a size limit. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { RETRY_AFTER } from '../api/problem.ts';
import { roomBesideHub } from '../backup/disk.ts';
import type { CoreDeps, GitRemotes, HostLinks, Scheduler } from '../deps.ts';
import { type SeatLimits, Seats } from '../seats.ts';
import { storeTrouble } from '../store/database.ts';
import { addStrayRepository, deleteStrayRepository, listStrayRepositories } from '../store/stray-repositories.ts';
import { serveByBackend } from './backend.ts';
import { type Access, checkAccess, readCredentials } from './access.ts';
import { Commands } from './commands.ts';
import { deletesOnly, refusePush } from './full-repository.ts';
import { isLfs, refuseLfs } from './lfs.ts';
import { MissedPushes } from './missed-pushes.ts';
import { ProjectRoom } from './project-room.ts';
import { PushHook } from './push-hook.ts';
import { deployMissed, deployPush, type Push } from './push.ts';
import type { Repositories } from './repositories.ts';
import { type GitRequest, readGitRequest } from './request.ts';
import { Room, type Share } from './room.ts';
import { Turns } from './turns.ts';

interface RemoteDeps extends CoreDeps {
  readonly repositories: Repositories;
  readonly scheduler: Pick<Scheduler, 'create'>;
  readonly links: HostLinks;
}

/** Bytes that one project may have here. */
const PROJECT_SIZE_LIMIT = 1024 ** 3;
/** Branches and tags that one project may have here. */
const PROJECT_REF_LIMIT = 50_000;
/** Requests at once, each with its git processes: in all, and with one token. */
const SEATS: SeatLimits = { inAll: 32, ofOne: 16 };
/** How long a push waits for another one into the same repository, ms. */
const TURN_MS = 10_000;

interface RemoteLimits {
  readonly sizeLimit?: number;
  readonly refLimit?: number;
  readonly turnMs?: number;
  readonly seats?: SeatLimits;
}

export function makeGitRemotes(
  deps: RemoteDeps,
  {
    sizeLimit = PROJECT_SIZE_LIMIT,
    refLimit = PROJECT_REF_LIMIT,
    turnMs = TURN_MS,
    seats: limits = SEATS,
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
  /** With the project that each is about. */
  const running = new Map<ServerResponse, string>();
  const seats = new Seats(limits, {
    inAll: 'The hub serves as many git requests as it can. Try again soon.',
    ofOne: 'This token has as many git requests under way as it may. Try again when some have ended.',
  });
  const turns = new Turns(turnMs);
  const room = new Room(() => roomBesideHub(repositories.root));
  const projectRoom = new ProjectRoom({ repositories, room, db: deps.db, log, sizeLimit, refLimit });
  let stopping = new AbortController();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = readGitRequest(request);
    const access = await checkAccess(deps, wanted, readCredentials(request.headers.authorization));
    await seats.hold(access.asker, async () => {
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
    const gone = closing(response);
    await turns.take(projectId, gone, async () => {
      await repositories.sweep(projectId);
      const share = await projectRoom.share(projectId, bytesOf(request), stopping.signal);
      try {
        // What a push asks for is known when it comes: before, branches are only named to it.
        const { full } = share;
        const isRefused = full !== null && wanted.endpoint !== 'info/refs' && !(await deletesOnly(request, gone));
        await (isRefused ? refuseFull(request, response, full) : take(request, response, env, { push, share }));
      } finally {
        await projectRoom.tidy(projectId);
        share.giveBack();
      }
    });
  }

  async function take(
    request: IncomingMessage,
    response: ServerResponse,
    env: Readonly<Record<string, string>>,
    { push, share }: { readonly push: Push; readonly share: Share },
  ): Promise<void> {
    const commands = new Commands();
    const watch = (chunk: Buffer): boolean => {
      share.came(chunk.length);
      return commands.see(chunk);
    };
    await hook.during(push, (secret) =>
      serveByBackend(request, response, { env: { ...env, ...secret }, config: limitsOf(share), watch }),
    );
  }

  async function refuseFull(request: IncomingMessage, response: ServerResponse, of: 'bytes' | 'refs'): Promise<void> {
    const told = {
      bytes: `The repository has reached its limit of ${inMiB(sizeLimit)} MiB. Delete branches and tags that nobody needs, or take large files out of the history: what no release needs of them is gone with the next push.`,
      refs: `The repository has reached its limit of ${refLimit} branches and tags. Delete those that nobody needs.`,
    };
    // One that breaks off hears nothing.
    await refusePush(request, response, told[of]).catch(() => response.destroy());
  }

  /** Nobody is kept waiting by files that cannot go: they are tried again at the next start. */
  async function clearAway(projectId: string): Promise<void> {
    for (const [response, project] of running) if (project === projectId) response.destroy();
    try {
      // A push that ends takes a moment, and writes until then.
      await turns.take(projectId, new AbortController().signal, () => repositories.remove(projectId));
      projectRoom.forget(projectId);
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
      answer(request, response).catch((error: unknown) => refuse(deps, response, error));
    },
  };
}

/** How much a request brings; null: nobody knows before its end. */
function bytesOf({ method, headers }: IncomingMessage): number | null {
  if (method === 'GET') return 0;
  const length = Number(headers['content-length'] ?? Number.NaN);
  return headers['content-encoding'] === undefined && Number.isSafeInteger(length) ? length : null;
}

/** The share of a push as git keeps to it: it names the first one when it refuses. */
const limitsOf = ({ bytes, mayPack }: Share): readonly string[] => [
  `receive.maxInputSize=${bytes}`,
  `receive.autogc=${mayPack}`,
];

function closing(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}

/**
 * RFC 3875 section 4.1, and what git-http-backend(1) reads beside it. Nothing of the request but these is passed on. The
 * body comes unpacked.
 * CONTENT_LENGTH is left out on purpose: with it the backend spins for ever when the hub dies in the middle of a body
 * (git 2.39 takes the end of input for an empty read); without it the end of input is the end of the request.
 */
function cgiVariables(request: IncomingMessage, wanted: GitRequest, access: Access): Record<string, string> {
  const { headers, socket, method = 'GET' } = request;
  const optional = {
    GIT_PROTOCOL: /^version=[0-9]$/.exec(String(headers['git-protocol']))?.[0],
    REMOTE_ADDR: socket.remoteAddress,
    REMOTE_USER: access.push?.userId,
  };
  return {
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_METHOD: method,
    GIT_PROJECT_ROOT: access.root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${access.projectId}.git/${wanted.endpoint}`,
    QUERY_STRING: wanted.endpoint === 'info/refs' ? `service=${wanted.service}` : '',
    CONTENT_TYPE: wanted.endpoint === 'info/refs' ? '' : `application/x-${wanted.service}-request`,
    ...Object.fromEntries(
      Object.entries(optional).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    ),
  };
}

/** Plain text: git shows it to its user as `remote: ...`. */
function refuse({ log }: CoreDeps, response: ServerResponse, cause: unknown): void {
  const error = storeTrouble(cause) ?? cause;
  const known = error instanceof OrkestrError && error.code !== 'ORK_INTERNAL' ? error : undefined;
  if (known === undefined) log.error({ err: error }, 'a git request failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const status = known?.kind.status ?? 500;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="orkestr", charset="UTF-8"' } : {}),
    ...(status === 429 ? { 'retry-after': RETRY_AFTER } : {}),
    // What is left of a body is not read: the connection ends with the answer.
    connection: 'close',
  });
  response.end(
    `${known === undefined ? 'The hub could not do it; its log says why.' : `${known.message} ${known.kind.mend}`}\n`,
  );
}

const inMiB = (bytes: number): number => Math.round(bytes / 1024 ** 2);
