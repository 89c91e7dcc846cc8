/**
 * Light traffic through the proxy while a new version goes live: kept and new connections, GET and POST, every response
 * checked. It counts what a visitor would have seen.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

export interface LoadTarget {
  /** Where the proxy listens. */
  readonly proxyUrl: string;
  /** Host header of the app. */
  readonly hostName: string;
  /** Versions whose responses are correct. */
  readonly versions: ReadonlySet<string>;
  /** Opens a connection for each request: for restarts, which may close a kept connection at any time. */
  readonly onlyFresh?: true;
}

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  /** The first few errors. */
  readonly failures: readonly string[];
  /** Correct responses by version. */
  readonly served: Readonly<Record<string, number>>;
}

const KEEP_ALIVE_WORKERS = 6;
const FRESH_WORKERS = 2;
/** Pause of a worker between two requests, ms: about 400 requests per second in all, light for two cores. */
const PAUSE_MS = 15;
const ANSWER_TIMEOUT_MS = 10_000;
const KEPT_FAILURES = 10;

export class Load {
  readonly #target: LoadTarget;
  readonly #stop = new AbortController();
  readonly #kept = new Agent({ connections: KEEP_ALIVE_WORKERS });
  /** Pipelining 0 makes undici open a connection per request and close it after. */
  readonly #fresh = new Agent({ pipelining: 0 });
  readonly #workers: Promise<void>[];
  readonly #failures: string[] = [];
  readonly #served: Record<string, number> = {};
  readonly #began = performance.now();
  #requests = 0;
  #failed = 0;

  constructor(target: LoadTarget) {
    this.#target = target;
    this.#workers = [
      ...Array.from({ length: target.onlyFresh ? 0 : KEEP_ALIVE_WORKERS }, () => this.#work(this.#kept)),
      ...Array.from({ length: FRESH_WORKERS }, () => this.#work(this.#fresh)),
    ];
  }

  get requests(): number {
    return this.#requests;
  }

  /** Waits until `count` requests have been answered. */
  async reach(count: number): Promise<void> {
    while (this.#requests < count && !this.#stop.signal.aborted) await sleep(20);
  }

  /** Ends the traffic; requests in flight are finished and counted. */
  async stop(): Promise<LoadResult> {
    this.#stop.abort();
    await Promise.all(this.#workers);
    await Promise.all([this.#kept.destroy(), this.#fresh.destroy()]);
    return { requests: this.#requests, failed: this.#failed, failures: this.#failures, served: this.#served };
  }

  async #work(dispatcher: Agent): Promise<void> {
    for (let turn = 0; !this.#stop.signal.aborted; turn += 1) {
      const wrong = await this.#once(dispatcher, turn);
      this.#requests += 1;
      if (wrong !== null) {
        this.#failed += 1;
        const how = dispatcher === this.#kept ? 'kept' : 'fresh';
        const since = ((performance.now() - this.#began) / 1000).toFixed(1);
        if (this.#failures.length < KEPT_FAILURES)
          this.#failures.push(`${wrong} (${how} connection, after ${since} s)`);
      }
      await sleep(PAUSE_MS);
    }
  }

  /** Sends one request. @returns what was wrong with the response, or null */
  async #once(dispatcher: Agent, turn: number): Promise<string | null> {
    const payload = turn % 4 === 3 ? `${turn} `.repeat(turn % 200) : null;
    const what = payload === null ? 'GET /' : 'POST /echo';
    try {
      const answer = await request(`${this.#target.proxyUrl}${payload === null ? '/' : '/echo'}`, {
        method: payload === null ? 'GET' : 'POST',
        headers: { host: this.#target.hostName },
        body: payload,
        dispatcher,
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
      });
      const body = await answer.body.text();
      if (answer.statusCode !== 200) return `${what}: HTTP ${answer.statusCode} ${body.slice(0, 100)}`;
      const version = String(answer.headers['x-version']);
      if (!this.#target.versions.has(version)) return `${what}: answered by version ${version}`;
      if (payload !== null && body !== payload) return `${what}: ${payload.length} bytes came back as ${body.length}`;
      this.#served[version] = (this.#served[version] ?? 0) + 1;
      return null;
    } catch (error) {
      return `${what}: ${(error as Error).message}`;
    }
  }
}
