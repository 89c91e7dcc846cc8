/** Calls to the hub with the session cookie. Responses are typed by the hub's schemas and not validated again. */
import { API_PREFIX } from '../../../api/paths.ts';
import type { Problem } from '../../../../protocol/errors.ts';
import { parseJson } from '../../../../protocol/json.ts';

/** A failed call. `problem` is absent when something other than a hub answered, or nothing did. */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: Problem | undefined;

  constructor(status: number, message: string, problem?: Problem) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Longest wait for a response, ms: on a dead connection a browser would wait for minutes. */
const ANSWER_MS = 60_000;

/** @throws ApiError; status 0 when the hub does not answer. */
export async function call<T>(method: Method, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const { answer, text } = await send(method, path, body, signal);
  if (answer.status === 204) return undefined as T;
  const value = parseJson(text);
  if (answer.ok && value !== undefined) return value as T;
  const problem = (value as Partial<Problem> | undefined)?.code === undefined ? undefined : (value as Problem);
  throw new ApiError(answer.status, problem?.detail ?? `The hub answered with HTTP ${answer.status}.`, problem);
}

async function send(method: Method, path: string, body: unknown, signal?: AbortSignal) {
  const late = AbortSignal.timeout(ANSWER_MS);
  try {
    const answer = await fetch(apiUrl(path), {
      method,
      credentials: 'same-origin',
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ? AbortSignal.any([signal, late]) : late,
    });
    return { answer, text: await answer.text() };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'The hub does not answer. Apps on your hosts keep running.');
  }
}

/** URL of a path of the API. */
export const apiUrl = (path: string): string => API_PREFIX + path;
