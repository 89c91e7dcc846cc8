/** The log of an environment's app, read live from its host: as server-sent events, or as text by default. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  Ago,
  AppLogPosition,
  defaultTail,
  HOST_APP_LOG_READS,
  MAX_APP_LOG_POSITIONS,
  MAX_TAIL_LINES,
  secondsAgo,
} from '../../protocol/app-log.ts';
import type { AppLogPart, AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { isStillIn, requireScope } from '../auth/hook.ts';
import { AppLogText } from '../../protocol/app-log-text.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { ConcurrencyLimit } from '../concurrency-limit.ts';
import type { ConcurrencyLimits, LimitMessages } from '../concurrency-limit.ts';
import { findDeployment } from '../store/deployments.ts';
import { getEnvironment } from '../store/environments.ts';
import { EVENT_STREAM, makeLongAnswers } from './long-answers.ts';
import type { Answer } from './long-answers.ts';
import { EnvironmentParams } from './params.ts';
import type { AppLogEvent } from './schemas.ts';

export interface AppLogLimits {
  /** Interval of heartbeats and of checks that the client is still authorized, ms. */
  readonly heartbeatMs: number;
  /** A client that reads nothing for this long is dropped, ms. */
  readonly stuckMs: number;
  /** Time limit for the host's first answer, ms. */
  readonly answerMs: number;
  readonly concurrency: ConcurrencyLimits;
  /** Reads of one token on one host. */
  readonly ofHost: number;
}

const LIMITS: AppLogLimits = {
  heartbeatMs: 15_000,
  stuckMs: 30_000,
  answerMs: 35_000,
  concurrency: { inAll: 200, ofOne: 20 },
  // The other half is left for other tokens.
  ofHost: HOST_APP_LOG_READS / 2,
};

const Question = z.object({
  tail: z.coerce
    .number()
    .int()
    .min(0)
    .max(MAX_TAIL_LINES)
    .optional()
    .describe(
      `number of newest lines to start with; default ${defaultTail(undefined)}, with \`since\` ${MAX_TAIL_LINES}`,
    ),
  since: Ago.optional().describe('only lines newer than this, such as `10m`'),
  follow: z
    .enum(['true', 'false'])
    .default('false')
    .describe('keep the stream open and send new lines as they are written'),
  timestamps: z
    .enum(['true', 'false'])
    .default('false')
    .describe('prefix each line of text with the time it was written; server-sent events always have it'),
  after: z.string().max(1000).default('').describe('for clients that cannot set `Last-Event-ID`'),
});

const MESSAGES: LimitMessages = {
  inAll: 'The hub cannot read more app logs at the same time. Try again soon.',
  ofOne: 'This token cannot read more app logs at the same time. Close some first.',
};

export function registerAppLog(app: HubApp, deps: HubDeps, limits: AppLogLimits = LIMITS): void {
  const answers = makeLongAnswers(app, {
    concurrency: limits.concurrency,
    messages: MESSAGES,
    stuckMs: limits.stuckMs,
  });
  const hostLimit = new ConcurrencyLimit(
    { inAll: limits.concurrency.inAll, ofOne: limits.ofHost },
    {
      inAll: MESSAGES.inAll,
      ofOne: 'This token cannot read more app logs of this host at the same time. Close some first.',
    },
  );

  app.get(
    '/projects/:project/environments/:environment/app-log',
    {
      ...requireScope('read'),
      schema: {
        summary: 'Log of the running app of an environment',
        description:
          'Read live from its host; the hub does not store it. With `Accept: text/event-stream` the answer is server-sent events with the time of each line, and can be resumed with `Last-Event-ID`; otherwise it is text. With `follow` the stream stays open, also across deployments.',
        tags: ['environments'],
        params: EnvironmentParams,
        querystring: Question,
      },
    },
    async (request, reply) => {
      const { identity, params, query } = request;
      const { environment } = await getEnvironment(deps.db, identity.teamId, params.project, params.environment);
      const question = requestOf(environment.id, query, String(request.headers['last-event-id'] ?? query.after));
      const answer = async (): Promise<void> => {
        const read = deps.agents.readAppLog(environment.host_id, question);
        try {
          const first = await firstPart(read, limits.answerMs);
          const asEvents = request.headers.accept?.includes(EVENT_STREAM) === true;
          const environmentId = environment.id;
          const timestamps = query.timestamps === 'true';
          const reading = { deps, limits, request, read, environmentId, asEvents, timestamps };
          await answers.give(request, reply, asEvents ? EVENT_STREAM : 'text/plain; charset=utf-8', (answer) =>
            sendParts({ ...reading, answer }, first, question),
          );
        } finally {
          read.close();
        }
      };
      const atHost = `${identity.tokenId} ${environment.host_id}`;
      await answers.admit(request, () => hostLimit.run(atHost, answer));
    },
  );
}

/** @throws OrkestrError ORK_INVALID */
function requestOf(environmentId: string, query: z.infer<typeof Question>, after: string): AppLogRequest {
  const { since, tail = defaultTail(since) } = query;
  return {
    environmentId,
    tail,
    sinceSeconds: since === undefined ? null : secondsAgo(since),
    follow: query.follow === 'true',
    after: positionsOf(after),
  };
}

/** An event id holds the position in each version's log: `<deployment>@<time>`, comma-separated. */
function positionsOf(text: string): AppLogPosition[] {
  if (text.trim() === '') return [];
  const positions = z
    .array(AppLogPosition)
    .max(MAX_APP_LOG_POSITIONS)
    .safeParse(
      text.split(',').map((one) => {
        const [deploymentId, at] = one.trim().split('@');
        return { deploymentId, at };
      }),
    );
  if (positions.success) return positions.data;
  throw new OrkestrError('ORK_INVALID', 'Last-Event-ID must be an id from this stream.');
}

/** Awaited before the response starts, so that a failure gets its own status. @throws OrkestrError */
async function firstPart(read: AppLogRead, answerMs: number): Promise<AppLogPart | null> {
  const late = new AbortController();
  try {
    return await Promise.race([read.next(), silence(answerMs, late.signal)]);
  } finally {
    late.abort();
  }
}

async function silence(ms: number, signal: AbortSignal): Promise<never> {
  await sleep(ms, undefined, { signal });
  throw new OrkestrError('ORK_HOST_OFFLINE', `The host is connected but did not answer within ${ms / 1000} s.`);
}

interface LogReading {
  readonly deps: HubDeps;
  readonly limits: AppLogLimits;
  readonly request: FastifyRequest;
  readonly answer: Answer;
  readonly read: AppLogRead;
  readonly environmentId: string;
  readonly asEvents: boolean;
  readonly timestamps: boolean;
}

async function sendParts(reading: LogReading, first: AppLogPart | null, { after }: AppLogRequest): Promise<void> {
  const { answer, read, asEvents } = reading;
  answer.signal.addEventListener('abort', () => read.close(), { once: true });
  const alive = setInterval(() => void proveAlive(reading), reading.limits.heartbeatMs);
  const positions = new Map(after.map(({ deploymentId, at }) => [deploymentId, at]));
  const text = new AppLogText({ timestamps: reading.timestamps });
  const write = (event: AppLogEvent): Promise<void> =>
    answer.write(
      asEvents
        ? `id: ${idOf(positions)}\ndata: ${JSON.stringify(event)}\n\n`
        : text
            .linesOf(event)
            .map((line) => `${line}\n`)
            .join(''),
    );
  try {
    const known = new Map<string, true>();
    for (let part = first; part !== null; part = await read.next()) {
      const { deploymentId: deployment, leftOut, lines } = part;
      if (!known.has(deployment))
        await write({ kind: 'version', deployment, commit: await commitOf(reading, deployment) });
      putNewest(known, deployment, true);
      if (leftOut > 0) await write({ kind: 'left-out', lines: leftOut });
      const last = lines.at(-1);
      if (last === undefined) continue;
      putNewest(positions, deployment, last.at);
      await write({ kind: 'lines', deployment, lines });
    }
    await write({ kind: 'end', error: null });
  } catch (error) {
    if (answer.signal.aborted) return;
    await write({ kind: 'end', error: toErrorReport(error) });
  } finally {
    clearInterval(alive);
  }
}

/** Inserts the newest at the end and drops the oldest beyond the limit, however many versions a host names. */
function putNewest<T>(versions: Map<string, T>, deployment: string, value: T): void {
  versions.delete(deployment);
  versions.set(deployment, value);
  const [oldest] = versions.keys();
  if (oldest !== undefined && versions.size > MAX_APP_LOG_POSITIONS) versions.delete(oldest);
}

const idOf = (positions: ReadonlyMap<string, string>): string =>
  [...positions].map(([deployment, at]) => `${deployment}@${at}`).join(',');

/** The token may be revoked during the read. */
async function proveAlive({ deps, request, answer, read, asEvents }: LogReading): Promise<void> {
  try {
    if (!(await isStillIn(deps, request))) read.close();
    else if (asEvents) await answer.write(': still here\n\n');
  } catch (error) {
    if (!answer.signal.aborted) request.log.error({ err: error }, 'a reader of an app log who may not go on for sure');
    read.close();
  }
}

async function commitOf({ deps, environmentId }: LogReading, deploymentId: string): Promise<string | null> {
  const deployment = await findDeployment(deps.db, deploymentId);
  return deployment?.environment_id === environmentId ? deployment.commit : null;
}
