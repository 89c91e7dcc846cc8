/** The hub's own git remote: smart HTTP (gitprotocol-http(5)) in front of git http-backend, with tokens and a size limit. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { OrkestrError } from '../../protocol/errors.ts';
import { roomBesideHub } from '../backup/disk.ts';
import type { CoreDeps, GitRemotes, HostLinks, Scheduler } from '../deps.ts';
import { serveByBackend } from './backend.ts';
import { type Access, checkAccess, readCredentials } from './access.ts';
import { PushHook } from './push-hook.ts';
import { deployPush } from './push.ts';
import type { Repositories } from './repositories.ts';
import { type GitRequest, readGitRequest } from './request.ts';
import { Turns } from './turns.ts';

export interface RemoteDeps extends CoreDeps {
  readonly repositories: Repositories;
  readonly scheduler: Pick<Scheduler, 'create'>;
  readonly links: HostLinks;
}

/** Bytes that one project may have here. */
export const PROJECT_SIZE_LIMIT = 1024 ** 3;
/** git processes at once. */
const MOST_AT_ONCE = 32;
/** How long a push waits for another one into the same repository, ms. */
const TURN_MS = 10_000;

export interface RemoteLimits {
  readonly sizeLimit?: number;
  readonly turnMs?: number;
}

export function makeGitRemotes(
  deps: RemoteDeps,
  { sizeLimit = PROJECT_SIZE_LIMIT, turnMs = TURN_MS }: RemoteLimits = {},
): GitRemotes {
  const { repositories, log } = deps;
  const hook = new PushHook({
    hooksFolder: repositories.hooksFolder,
    log,
    onPush: (push, updates) => deployPush(deps, push, updates),
  });
  const running = new Set<ServerResponse>();
  const turns = new Turns(turnMs);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = readGitRequest(request);
    const access = await checkAccess(deps, wanted, readCredentials(request.headers.authorization));
    if (running.size >= MOST_AT_ONCE) {
      throw new OrkestrError('ORK_TOO_MANY_REQUESTS', 'The hub serves as many git requests as it can. Try again soon.');
    }
    running.add(response);
    try {
      await repositories.create(access.projectId);
      const env = { ...repositories.env, ...cgiVariables(request, wanted, access) };
      const { push } = access;
      if (push === undefined) return await serveByBackend(request, response, env);
      await turns.take(access.projectId, closing(response), async () => {
        await repositories.sweep(access.projectId);
        const limit = await roomLeft(access.projectId);
        await hook.during(push, (secret) => serveByBackend(request, response, { ...env, ...limit, ...secret }));
      });
    } finally {
      running.delete(response);
    }
  }

  /**
   * What is left of the project's size, and of the disk, becomes the limit of this push: git names it when it refuses. No
   * other push may run beside it, or each would have all that is left.
   */
  async function roomLeft(projectId: string): Promise<Record<string, string>> {
    const onDisk = await roomBesideHub(repositories.root);
    const left = Math.min(onDisk, sizeLimit - (await repositories.size(projectId)));
    if (left > 0) {
      return { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'receive.maxInputSize', GIT_CONFIG_VALUE_0: String(left) };
    }
    throw new OrkestrError('ORK_TOO_LARGE', `The repository has reached its limit of ${inMiB(sizeLimit)} MiB.`);
  }

  return {
    async start() {
      await repositories.prepare();
      await hook.start();
    },
    async stop() {
      for (const response of running) response.destroy();
      await hook.stop();
    },
    createRepository: (projectId) => repositories.create(projectId),
    removeRepository: (projectId) => repositories.remove(projectId),
    handle(request, response) {
      answer(request, response).catch((error: unknown) => refuse(deps, response, error));
    },
  };
}

function closing(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}

/**
 * RFC 3875 section 4.1, and what git-http-backend(1) reads beside it. Nothing of the request but these is passed on.
 * CONTENT_LENGTH is left out on purpose: with it the backend spins for ever when the hub dies in the middle of a body
 * (git 2.39 takes the end of input for an empty read); without it the end of input is the end of the request.
 */
function cgiVariables(request: IncomingMessage, wanted: GitRequest, access: Access): Record<string, string> {
  const { headers, socket, method = 'GET' } = request;
  const optional = {
    HTTP_CONTENT_ENCODING: headers['content-encoding'] === 'gzip' ? 'gzip' : undefined,
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
function refuse({ log }: CoreDeps, response: ServerResponse, error: unknown): void {
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
    ...(status === 429 ? { 'retry-after': '5' } : {}),
    // What is left of a body is not read: the connection ends with the answer.
    connection: 'close',
  });
  response.end(
    `${known === undefined ? 'The hub could not do it; its log says why.' : `${known.message} ${known.kind.mend}`}\n`,
  );
}

const inMiB = (bytes: number): number => Math.round(bytes / 1024 ** 2);
