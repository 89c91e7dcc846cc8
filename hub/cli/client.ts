/**
 * HTTP client for the hub: one method per verb. Validates every response against its schema and turns every failure
 * into an OrkestrError.
 */
import { Agent, EnvHttpProxyAgent, request } from 'undici';
import type { Dispatcher } from 'undici';
import type { z } from 'zod';
import { API_PREFIX } from '../api/paths.ts';
import { OrkestrError, Problem } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/json.ts';
import type { Proxies } from './config.ts';
import { reasonOf } from '../../protocol/service/dialling.ts';

/** Largest JSON response accepted, bytes. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 30_000;
/** Always reached directly, whatever no_proxy says: to a proxy these names mean another machine. */
const THIS_MACHINE = 'localhost,127.0.0.1,::1';
/** The hub deletes the logs of a large project in small steps. */
const DELETE_TIMEOUT_MS = 600_000;

interface ClientOptions {
  readonly url: string;
  readonly token: string;
  /** Absent: direct connection. */
  readonly proxies?: Proxies;
}

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Longest wait for a response, ms. */
  readonly answerTimeoutMs?: number;
  /** Longest silence inside a response body, ms; 0: no limit. */
  readonly bodyTimeoutMs?: number;
}

export class Client {
  readonly url: string;
  readonly #token: string;
  readonly #proxy: URL | undefined;
  readonly #dispatcher: Dispatcher;

  constructor(options: ClientOptions) {
    this.url = options.url;
    this.#token = options.token;
    this.#proxy = options.url.startsWith('https:') ? options.proxies?.https : options.proxies?.http;
    this.#dispatcher = makeDispatcher(this.#proxy, options.proxies?.none);
  }

  get<T>(path: string, schema: z.ZodType<T>, query?: Call['query']): Promise<T> {
    return this.#json({ method: 'GET', path, query }, schema);
  }

  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#json({ method: 'POST', path, body }, schema);
  }

  put<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#json({ method: 'PUT', path, body }, schema);
  }

  patch<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#json({ method: 'PATCH', path, body }, schema);
  }

  async delete(path: string): Promise<void> {
    const answer = await this.open({ method: 'DELETE', path, answerTimeoutMs: DELETE_TIMEOUT_MS });
    await answer.body.dump();
  }

  /**
   * Opens a streamed response with status 2xx. Other responses are thrown as errors. The caller reads or destroys the
   * body.
   */
  async open(call: Call): Promise<Dispatcher.ResponseData> {
    const url = new URL(`${this.url}${API_PREFIX}${call.path}`);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const answer = await this.#send(url, call);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    throw await problemOf(answer, this.url);
  }

  /** Closes the idle connections, so that the process can end. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #send(url: URL, call: Call): Promise<Dispatcher.ResponseData> {
    try {
      return await request(url, {
        method: call.method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: 'application/json',
          'user-agent': 'orkestr-cli',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...call.headers,
        },
        body: call.body === undefined ? null : JSON.stringify(call.body),
        dispatcher: this.#dispatcher,
        headersTimeout: call.answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
        bodyTimeout: call.bodyTimeoutMs ?? ANSWER_TIMEOUT_MS,
        ...(call.signal ? { signal: call.signal } : {}),
      });
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw unreachable(this.url, error, this.#proxy);
    }
  }

  async #json<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    const answer = await this.open(call);
    const text = await readText(answer, this.url);
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new OrkestrError(
      'ORK_PROTOCOL',
      `This version of the CLI does not understand the answer of ${this.url} to ${call.method} ${call.path}.`,
      { evidence: issue ? [`${issue.path.join('.')}: ${issue.message}`] : [] },
    );
  }
}

/** All requests go to one hub, so one proxy, that of the hub's scheme, is enough. */
function makeDispatcher(proxy: URL | undefined, none = ''): Dispatcher {
  if (proxy === undefined) return new Agent({ connectTimeout: CONNECT_TIMEOUT_MS });
  return new EnvHttpProxyAgent({
    connectTimeout: CONNECT_TIMEOUT_MS,
    httpProxy: proxy.href,
    httpsProxy: proxy.href,
    noProxy: `${THIS_MACHINE},${none}`,
  });
}

/** @param proxy the proxy for the URL's scheme */
export function unreachable(url: string, cause: unknown, proxy?: URL): OrkestrError {
  const { code } = cause as NodeJS.ErrnoException;
  const reason = reasonOf(cause);
  const evidence = [code === undefined || code === reason ? reason : `${code}: ${reason}`];
  if (proxy !== undefined) evidence.push(`${url.startsWith('https:') ? 'https_proxy' : 'http_proxy'}: ${proxy.origin}`);
  return new OrkestrError('ORK_HUB_UNREACHABLE', `The hub at ${url} does not answer.`, { cause, evidence });
}

async function problemOf(answer: Dispatcher.ResponseData, url: string): Promise<OrkestrError> {
  const text = await readText(answer, url);
  const problem = Problem.safeParse(parseJson(text));
  if (problem.success) {
    return new OrkestrError(problem.data.code, problem.data.detail, { evidence: problem.data.evidence });
  }
  const evidence = [`HTTP ${answer.statusCode}`, ...text.trim().split('\n').slice(0, 3)].map((line) =>
    line.slice(0, 300),
  );
  // A reverse proxy answers 502 to 504 when the hub behind it is down; such a response is not from orkestr.
  return answer.statusCode >= 502 && answer.statusCode <= 504
    ? new OrkestrError('ORK_HUB_UNREACHABLE', `The hub behind ${url} does not answer.`, { evidence })
    : new OrkestrError('ORK_PROTOCOL', `The server at ${url} does not answer like an orkestr hub.`, { evidence });
}

async function readText(answer: Dispatcher.ResponseData, url: string): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of answer.body as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > MAX_ANSWER_BYTES)
        throw new OrkestrError('ORK_TOO_LARGE', `The answer of ${url} is too large to read.`);
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof OrkestrError ? error : unreachable(url, error);
  }
  return Buffer.concat(parts).toString('utf8');
}
