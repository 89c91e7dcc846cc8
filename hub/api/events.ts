/**
 * A deployment as it happens: server-sent events (WHATWG HTML section 9.2) out of the store. Each follower reads at its own pace from
 * where it stands, so there is no buffer to overflow, no gap and no double, and a reconnect is nothing special.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { isStillIn, requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { Seats } from '../seats.ts';
import { type DeploymentContext, getDeployment, isOpen } from '../store/deployments.ts';
import { listEvents, type StoredEvent } from '../store/events.ts';
import { showDeployment, showDeploymentDetail } from './deployment-view.ts';
import { IdParams } from './params.ts';
import type { Deployment, DeploymentEvent } from './schemas.ts';

interface EventLimits {
  /** Comment lines keep the connection known as alive, ms. */
  readonly heartbeatMs: number;
  /** A client that takes nothing for this long is dropped; it may come back where it was, ms. */
  readonly stuckMs: number;
  /** Followers of all deployments together. */
  readonly followers: number;
  /** Those of one token, so that one user leaves room for others. */
  readonly followersOfToken: number;
}

const LIMITS: EventLimits = { heartbeatMs: 15_000, stuckMs: 30_000, followers: 500, followersOfToken: 100 };
/** Events read at once: log chunks are up to 64 KiB each. */
const PAGE = 32;

/** `Last-Event-ID` counts more: a browser sends it when it comes back to the address that it was given. */
const Start = z.object({
  after: z.coerce.number().int().min(0).default(0).describe('for who cannot set `Last-Event-ID`'),
});

export function registerEvents(app: HubApp, deps: HubDeps, limits: EventLimits = LIMITS): void {
  const open = new Set<AbortController>();
  const seats = new Seats(
    { inAll: limits.followers, ofOne: limits.followersOfToken },
    {
      inAll: 'The hub has as many followers as it can. Try again soon.',
      ofOne: 'This token follows as many deployments as it may. End some first.',
    },
  );
  app.addHook('preClose', (done) => {
    for (const follower of open) follower.abort();
    done();
  });

  app.get(
    '/deployments/:id/events',
    {
      ...requireScope('read'),
      schema: {
        summary: 'Follow a deployment (server-sent events)',
        description:
          'Everything from its start, or after `Last-Event-ID`; ends with the kind `end`. Of an old one, whose events are gone, what became of it and of its steps.',
        tags: ['deployments'],
        params: IdParams,
        querystring: Start,
      },
    },
    async (request, reply) => {
      const context = await getDeployment(deps.db, request.identity.teamId, request.params.id);
      const after = lastEventId(request) ?? request.query.after;
      await seats.hold(request.identity.tokenId, async () => {
        reply.hijack();
        const follower = new AbortController();
        open.add(follower);
        reply.raw.on('close', () => follower.abort());
        try {
          await follow({ deps, limits, request, response: reply.raw, signal: follower.signal }, context, after);
        } catch (error) {
          if (!follower.signal.aborted) request.log.error({ err: error }, 'following a deployment failed');
        } finally {
          open.delete(follower);
          reply.raw.end();
        }
      });
    },
  );
}

/** @throws OrkestrError ORK_INVALID */
function lastEventId(request: FastifyRequest): number | undefined {
  const text = String(request.headers['last-event-id'] ?? '').trim();
  if (text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new OrkestrError('ORK_INVALID', 'Last-Event-ID must be an id that the stream gave.');
}

interface Follower {
  readonly deps: HubDeps;
  readonly limits: EventLimits;
  readonly request: FastifyRequest;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
}

async function follow(
  { deps, limits, request, response, signal }: Follower,
  context: DeploymentContext,
  after: number,
): Promise<void> {
  const { db, news } = deps;
  const { id } = context.deployment;
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    // Its end is the end of the connection, so that a stopping hub waits for none that idles.
    connection: 'close',
  });
  response.write(': here\n\n');
  const tell = (text: string): Promise<void> => write(response, signal, limits.stuckMs, text);
  let position = after;
  while (!signal.aborted) {
    // Registered before the store is read: news that come in between are not slept through.
    const waking = new AbortController();
    const next = news.next(id, limits.heartbeatMs, AbortSignal.any([signal, waking.signal]));
    try {
      if (!(await isStillIn(deps, request))) return;
      // Read before the events: a deployment that has ended by now has all its events in the store.
      const now = await getDeployment(db, context.project.team_id, id);
      const events = await listEvents(db, id, position, PAGE);
      for (const event of events) {
        const view = event.kind === 'status' ? await showDeployment(deps, now) : undefined;
        await tell(`id: ${event.id}\n${data(toEvent(event, view))}`);
        position = event.id;
      }
      if (events.length === PAGE) continue;
      if (!isOpen(now.deployment)) {
        if (position === 0) for (const event of await withoutCourse(deps, now)) await tell(data(event));
        return await tell(data({ kind: 'end', status: now.deployment.status }));
      }
      if (events.length === 0) await tell(': still here\n\n');
      await next;
    } finally {
      waking.abort();
    }
  }
}

/** What became of one whose events are gone. */
async function withoutCourse(deps: HubDeps, context: DeploymentContext): Promise<DeploymentEvent[]> {
  const { steps, release: _, ...deployment } = await showDeploymentDetail(deps, context);
  return [{ kind: 'status', deployment }, ...steps.map((step): DeploymentEvent => ({ kind: 'step', step }))];
}

const data = (event: DeploymentEvent): string => `data: ${JSON.stringify(event)}\n\n`;

function toEvent(event: StoredEvent, view: Deployment | undefined): DeploymentEvent {
  if (event.kind === 'step') return { kind: 'step', step: event.step };
  if (event.kind === 'log') {
    return { kind: 'log', step: event.step, offset: event.offset, data: Buffer.from(event.bytes).toString('base64') };
  }
  if (view === undefined) throw new Error('A status event is shown with its deployment.');
  const { waitingFor, ...rest } = view;
  const waits = event.change.status === 'queued' && waitingFor !== undefined;
  return { kind: 'status', deployment: { ...rest, ...event.change, ...(waits ? { waitingFor } : {}) } };
}

/** One write at a time, each waiting until the client has taken the one before. */
async function write(response: ServerResponse, signal: AbortSignal, stuckMs: number, text: string): Promise<void> {
  signal.throwIfAborted();
  if (response.write(text)) return;
  await once(response, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(stuckMs)]) }).catch(
    (error: unknown) => {
      response.destroy();
      throw error;
    },
  );
}
