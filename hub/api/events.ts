/**
 * Streams a deployment as server-sent events (WHATWG HTML section 9.2) out of the store. Each follower reads at its own
 * pace from its own position, so no buffer can overflow, no event is lost or repeated, and a reconnect needs no special
 * handling.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { isStillIn, mayFollow } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { type DeploymentContext, getDeployment, isOpen } from '../store/deployments.ts';
import { listEvents, type StoredEvent } from '../store/events.ts';
import { showDeployment, showDeploymentDetail } from './deployment-view.ts';
import { EVENT_STREAM, makeLongAnswers } from './long-answers.ts';
import type { Answer } from './long-answers.ts';
import { IdParams } from './params.ts';
import type { Deployment, DeploymentEvent } from './schemas.ts';

interface EventLimits {
  /** Comment lines at this interval keep the connection alive, ms. */
  readonly heartbeatMs: number;
  /** A client that reads nothing for this long is dropped, ms. It may reconnect at its last position. */
  readonly stuckMs: number;
  /** Maximum number of followers, of all deployments together. */
  readonly followers: number;
  /** Maximum for one token, so that one user leaves room for others. */
  readonly followersOfToken: number;
}

const LIMITS: EventLimits = { heartbeatMs: 15_000, stuckMs: 30_000, followers: 500, followersOfToken: 100 };
/** Events read at once: log chunks have up to 64 KiB each. */
const PAGE = 32;

/** `Last-Event-ID` takes precedence: a browser sends it when it reconnects to the same URL. */
const Start = z.object({
  after: z.coerce.number().int().min(0).default(0).describe('for clients that cannot set `Last-Event-ID`'),
});

export function registerEvents(app: HubApp, deps: HubDeps, limits: EventLimits = LIMITS): void {
  const answers = makeLongAnswers(app, {
    concurrency: { inAll: limits.followers, ofOne: limits.followersOfToken },
    messages: {
      inAll: 'The hub cannot serve more followers at the same time. Try again soon.',
      ofOne: 'This token cannot follow more deployments at the same time. Close some first.',
    },
    stuckMs: limits.stuckMs,
  });

  app.get(
    '/deployments/:id/events',
    {
      ...mayFollow,
      schema: {
        summary: 'Follow a deployment (server-sent events)',
        description:
          'Sends all events from the start, or after `Last-Event-ID`; the last one has the kind `end`. For an old deployment whose events are gone, sends only the results of the deployment and its steps.',
        tags: ['deployments'],
        params: IdParams,
        querystring: Start,
      },
    },
    async (request, reply) => {
      const context = await getDeployment(deps.db, request.identity.teamId, request.params.id);
      const after = lastEventId(request) ?? request.query.after;
      await answers.admit(request, () =>
        answers.give(request, reply, EVENT_STREAM, (answer) =>
          follow({ deps, limits, request, answer }, context, after),
        ),
      );
    },
  );
}

/** @throws OrkestrError ORK_INVALID */
function lastEventId(request: FastifyRequest): number | undefined {
  const text = String(request.headers['last-event-id'] ?? '').trim();
  if (text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new OrkestrError('ORK_INVALID', 'Last-Event-ID must be an id from this stream.');
}

interface Follower {
  readonly deps: HubDeps;
  readonly limits: EventLimits;
  readonly request: FastifyRequest;
  readonly answer: Answer;
}

async function follow(
  { deps, limits, request, answer }: Follower,
  context: DeploymentContext,
  after: number,
): Promise<void> {
  const { db, news } = deps;
  const { id } = context.deployment;
  const { signal } = answer;
  await answer.write(': here\n\n');
  let position = after;
  while (!signal.aborted) {
    // Registered before the store is read, so that news in between are not missed.
    const waking = new AbortController();
    const next = news.next(id, limits.heartbeatMs, AbortSignal.any([signal, waking.signal]));
    try {
      if (!(await isStillIn(deps, request))) return;
      // Read before the events: if the deployment has ended by now, all its events are in the store.
      const now = await getDeployment(db, context.project.team_id, id);
      const events = await listEvents(db, id, position, PAGE);
      for (const event of events) {
        const view = event.kind === 'status' ? await showDeployment(deps, now) : undefined;
        await answer.write(`id: ${event.id}\n${data(toEvent(event, view))}`);
        position = event.id;
      }
      if (events.length === PAGE) continue;
      if (!isOpen(now.deployment)) {
        if (position === 0) for (const event of await withoutCourse(deps, now)) await answer.write(data(event));
        return await answer.write(data({ kind: 'end', status: now.deployment.status }));
      }
      if (events.length === 0) await answer.write(': still here\n\n');
      await next;
    } finally {
      waking.abort();
    }
  }
}

/** The result of a deployment whose events have been pruned. */
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
  const waits = event.change.status === view.status && waitingFor !== undefined;
  return { kind: 'status', deployment: { ...rest, ...event.change, ...(waits ? { waitingFor } : {}) } };
}
