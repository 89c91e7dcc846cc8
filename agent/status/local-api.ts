/**
 * The agent's own small API on a unix socket (0600), for its CLI on the same host.
 *
 *   GET /v1/status        → StatusReport
 *   GET /v1/agent         → AgentView, at once: it asks neither engine nor proxy
 *   GET /v1/environments  → { "<environment id>": "<project>/<environment>" }
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { z } from 'zod';
import { askHttp } from '../lib/http-call.ts';
import { AgentView, ANSWER_MS } from './check.ts';
import type { StatusReport } from './index.ts';

const DEADLINE_MS = 20_000;
/** The agent looks for as long as it is told; and then has to say it, ms. */
const MARGIN_MS = 500;
/** How long it may look, ms; an agent of another release takes its own time. */
const ANSWER_HEADER = 'x-orkestr-answer-ms';
/** Names are asked for while somebody looks on, ms. */
const NAMES_MS = 1000;
/** Of the names of some ten thousand environments. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** What the API tells. */
interface LocalAnswers {
  /** @param answerMs how long what may not answer is waited for */
  readonly status: (answerMs: number) => Promise<StatusReport>;
  readonly agent: () => AgentView;
  /** Environment id → `project/environment`, of what is live. */
  readonly environments: () => ReadonlyMap<string, string>;
}

const ANSWERS: Readonly<Record<string, (answers: LocalAnswers, answerMs: number) => Promise<unknown>>> = {
  '/v1/status': ({ status }, answerMs) => status(answerMs),
  '/v1/agent': async ({ agent }) => agent(),
  '/v1/environments': async ({ environments }) => Object.fromEntries(environments()),
};

export interface LocalApi {
  close(): Promise<void>;
}

/** Call only while holding the state lock: a socket file that is there is then a dead agent's. */
export async function serveLocalApi(socketPath: string, answers: LocalAnswers): Promise<LocalApi> {
  const server = createServer((request, response) => {
    const answer = (code: number, body: unknown): void => {
      response.writeHead(code, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body));
    };
    const work = request.method === 'GET' ? ANSWERS[request.url ?? ''] : undefined;
    if (work === undefined) return answer(404, { error: `GET ${Object.keys(ANSWERS).join(', ')}` });
    work(answers, Number(request.headers[ANSWER_HEADER]) || ANSWER_MS).then(
      (report) => answer(200, report),
      (error: unknown) => answer(500, { error: String(error) }),
    );
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  server.maxConnections = 20;
  rmSync(socketPath, { force: true });
  await listenPrivately(server, socketPath);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The socket is never open to others, not even for the moment between bind and chmod. */
function listenPrivately(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(0o177);
    try {
      server.listen(socketPath, () => resolve()); // binds before it returns
    } finally {
      process.umask(mask);
    }
  });
}

const Level = z.enum(['ok', 'degraded', 'down']);
const EnvironmentNames = z.record(z.string(), z.string());

const Report = z.object({
  level: Level,
  checks: z.record(
    z.string(),
    z.object({
      level: Level,
      summary: z.string(),
      details: z.array(z.string()).optional(),
      data: z.record(z.string(), z.unknown()),
    }),
  ),
});

/** Nobody is behind the socket; or somebody is, and gives no usable answer in time (an agent that hangs). */
export type NoAnswer = 'absent' | 'silent';

/** The running agent's own report of its host. */
export const askAgent = (socketPath: string, answerMs = ANSWER_MS): Promise<StatusReport | NoAnswer> =>
  answerOf(socketPath, {
    path: '/v1/status',
    schema: Report,
    deadlineMs: answerMs + MARGIN_MS,
    headers: { [ANSWER_HEADER]: String(answerMs) },
  });

/** What the running agent knows of itself. */
export const askView = (socketPath: string, deadlineMs = DEADLINE_MS): Promise<AgentView | NoAnswer> =>
  answerOf(socketPath, { path: '/v1/agent', schema: AgentView, deadlineMs });

async function answerOf<T>(
  socketPath: string,
  { schema, ...question }: Question & { schema: z.ZodType<T> },
): Promise<T | NoAnswer> {
  try {
    return schema.parse(await ask(socketPath, question));
  } catch (error) {
    // Not answering is one of the answers that this asks for.
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'absent' : 'silent';
  }
}

/** Environment id → `project/environment`; empty when no agent answers. */
export async function askNames(socketPath: string): Promise<ReadonlyMap<string, string>> {
  try {
    return new Map(
      Object.entries(EnvironmentNames.parse(await ask(socketPath, { path: '/v1/environments', deadlineMs: NAMES_MS }))),
    );
  } catch {
    return new Map(); // names are an adornment: ids do as well
  }
}

interface Question {
  readonly path: string;
  readonly deadlineMs: number;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(socketPath: string, { deadlineMs, ...question }: Question): Promise<unknown> {
  const signal = AbortSignal.timeout(deadlineMs);
  const { text } = await askHttp({ peer: { socketPath }, method: 'GET', ...question, signal }, MAX_ANSWER_BYTES);
  return JSON.parse(text);
}
