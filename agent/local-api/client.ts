/** Client of the running agent's local API (server.ts), for the CLI, the doctor and upgrades on the same host. */
import { z } from 'zod';
import { OrkestrError, Problem, ReadErrorReport } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/json.ts';
import { askHttp } from '../lib/http-call.ts';
import type { HttpAnswer } from '../lib/http-call.ts';
import { AgentView } from './agent-view.ts';
import { ANSWER_HEADER, ANSWER_MS } from './status-report.ts';
import type { StatusReport } from './status-report.ts';

const DEADLINE_MS = 20_000;
/** The agent waits for its parts as long as the request says; this is for the response itself, ms. */
const MARGIN_MS = 500;
/** Deadline for names, which are requested while a person waits, ms. */
const NAMES_MS = 1000;
/** Enough for the names of some ten thousand environments. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** The agent may have to query engine and proxy first, ms. */
const ORDER_MS = 30_000;

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

/** absent: nothing is behind the socket. silent: there is no usable response in time, because the agent hangs. */
export type NoAnswer = 'absent' | 'silent';

/** The running agent's own report of its host. */
export const askAgent = (socketPath: string, answerMs = ANSWER_MS): Promise<StatusReport | NoAnswer> =>
  answerOf(socketPath, {
    path: '/v1/status',
    schema: Report,
    deadlineMs: answerMs + MARGIN_MS,
    headers: { [ANSWER_HEADER]: String(answerMs) },
  });

/** The running agent's view of itself. */
export const askView = (socketPath: string, deadlineMs = DEADLINE_MS): Promise<AgentView | NoAnswer> =>
  answerOf(socketPath, { path: '/v1/agent', schema: AgentView, deadlineMs });

async function answerOf<T>(
  socketPath: string,
  { schema, ...question }: Question & { schema: z.ZodType<T> },
): Promise<T | NoAnswer> {
  try {
    return schema.parse(await ask(socketPath, question));
  } catch (error) {
    // No answer is one of the expected results.
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'absent' : 'silent';
  }
}

/** Environment id → `project/environment`; empty if no agent answers. */
export async function askNames(socketPath: string): Promise<ReadonlyMap<string, string>> {
  try {
    return new Map(
      Object.entries(EnvironmentNames.parse(await ask(socketPath, { path: '/v1/environments', deadlineMs: NAMES_MS }))),
    );
  } catch {
    return new Map(); // names are optional: callers can show ids
  }
}

const Ordered = z.object({ removalId: z.string() });
const Removal = z.object({ ended: z.boolean(), error: ReadErrorReport.nullable() });
export type Removal = z.infer<typeof Removal>;

/**
 * Makes the running agent remove an environment.
 * @returns the id of the removal
 * @throws OrkestrError ORK_AGENT_UNREACHABLE, ORK_NOT_FOUND
 */
export const orderRemoval = async (socketPath: string, environmentId: string): Promise<string> => {
  const question: Question = { method: 'DELETE', path: `/v1/environments/${environmentId}`, deadlineMs: ORDER_MS };
  return (await answerTo(socketPath, question, Ordered)).removalId;
};

/** The state of a removal. @throws OrkestrError ORK_AGENT_UNREACHABLE, ORK_NOT_FOUND */
export const askRemoval = (socketPath: string, removalId: string): Promise<Removal> =>
  answerTo(socketPath, { path: `/v1/removals/${removalId}`, deadlineMs: DEADLINE_MS }, Removal);

async function answerTo<T>(socketPath: string, question: Question, schema: z.ZodType<T>): Promise<T> {
  let answer: HttpAnswer;
  try {
    answer = await exchange(socketPath, question);
  } catch (cause) {
    throw new OrkestrError('ORK_AGENT_UNREACHABLE', `No agent answers at ${socketPath}.`, {
      evidence: [String(cause)],
      cause,
    });
  }
  const body = parseJson(answer.text);
  const told = schema.safeParse(body);
  if (answer.status === 200 && told.success) return told.data;
  const problem = Problem.safeParse(body);
  if (problem.success) {
    const { code, detail, evidence } = problem.data;
    throw new OrkestrError(code, detail, { evidence });
  }
  throw new OrkestrError('ORK_AGENT_UNREACHABLE', 'The running agent is of another release than this program.');
}

interface Question {
  readonly method?: 'GET' | 'DELETE';
  readonly path: string;
  readonly deadlineMs: number;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(socketPath: string, question: Question): Promise<unknown> {
  return JSON.parse((await exchange(socketPath, question)).text);
}

function exchange(socketPath: string, { deadlineMs, ...question }: Question): Promise<HttpAnswer> {
  const signal = AbortSignal.timeout(deadlineMs);
  return askHttp({ peer: { socketPath }, method: 'GET', ...question, signal }, MAX_ANSWER_BYTES);
}
