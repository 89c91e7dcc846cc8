/**
 * Handles a push from its turn to its end: within the remaining quota and disk, with cleanup of the repository
 * afterwards.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serveByBackend } from './backend.ts';
import { Commands } from './commands.ts';
import type { Reservation } from './disk-budget.ts';
import { deletesOnly, refusePush } from './full-repository.ts';
import type { ProjectQuota } from './project-quota.ts';
import type { PushHook } from './push-hook.ts';
import type { Push } from './push.ts';
import type { Repositories } from './repositories.ts';
import type { GitRequest } from './request.ts';
import type { Turns } from './turns.ts';

interface PushParts {
  readonly repositories: Repositories;
  readonly hook: PushHook;
  readonly quota: ProjectQuota;
  readonly turns: Turns;
}

interface PushRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly endpoint: GitRequest['endpoint'];
  readonly push: Push;
  /** Of the backend. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Resolves once the push has been answered.
 * @param stopping aborts a pruning
 * @throws OrkestrError ORK_TOO_MANY_REQUESTS, ORK_DISK_FULL
 */
export async function servePush(
  { repositories, hook, quota, turns }: PushParts,
  asked: PushRequest,
  stopping: AbortSignal,
): Promise<void> {
  const { request, response, endpoint, push } = asked;
  const { projectId } = push;
  const gone = closing(response);
  await turns.take(projectId, gone, async () => {
    await repositories.sweep(projectId);
    const reservation = await quota.reserve(projectId, bytesOf(request), stopping);
    try {
      // Only the second request of a push contains its commands; the first one merely lists the refs.
      const { full } = reservation;
      const isRefused = full !== null && endpoint !== 'info/refs' && !(await deletesOnly(request, gone));
      // A client that breaks off gets no answer.
      if (isRefused) await refusePush(request, response, quota.refusalFor(full)).catch(() => response.destroy());
      else await take(hook, asked, reservation);
    } finally {
      await quota.tidy(projectId);
      reservation.release();
    }
  });
}

async function take(
  hook: PushHook,
  { request, response, push, env }: PushRequest,
  reservation: Reservation,
): Promise<void> {
  const commands = new Commands();
  const watch = (chunk: Buffer): boolean => {
    reservation.received(chunk.length);
    return commands.see(chunk);
  };
  await hook.during(push, (secret) =>
    serveByBackend(request, response, { env: { ...env, ...secret }, config: limitsOf(reservation), watch }),
  );
}

/** Bytes that a request sends; null: unknown until its end. */
function bytesOf({ method, headers }: IncomingMessage): number | null {
  if (method === 'GET') return 0;
  const length = Number(headers['content-length'] ?? Number.NaN);
  return headers['content-encoding'] === undefined && Number.isSafeInteger(length) ? length : null;
}

/** Limits for a push that git itself enforces; its refusal names the first one. */
const limitsOf = ({ bytes, mayPack }: Reservation): readonly string[] => [
  `receive.maxInputSize=${bytes}`,
  `receive.autogc=${mayPack}`,
];

function closing(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}
