/** The few calls to Docker Engine that installer and tests need, over its unix socket, each with a timeout. */
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';

/** API of the oldest engines in use (Debian 12: 20.10 supports up to 1.41); newer engines support it, too. */
const API = '/v1.41';
const CALL_TIMEOUT_MS = 10_000;

const Containers = z.array(z.object({ Id: z.string(), Names: z.array(z.string()), State: z.string() }));
const Images = z.array(z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullable() }));
const Networks = z.array(z.object({ Id: z.string(), Name: z.string() }));

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Statuses besides 2xx that are not an error. */
  readonly accept?: readonly number[];
}

export class EngineApi {
  readonly #agent: Agent;
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
    this.#agent = new Agent({ connect: { socketPath: socket, timeout: CALL_TIMEOUT_MS } });
  }

  /** Version of the engine, or null if none responds. */
  async version(timeoutMs = 3000): Promise<string | null> {
    try {
      const answer = await this.#call({ path: '/version', timeoutMs });
      return z.object({ Version: z.string() }).parse(await answer.body.json()).Version;
    } catch (error) {
      if (error instanceof OrkestrError) return null;
      throw error;
    }
  }

  async hasImage(name: string): Promise<boolean> {
    const answer = await this.#call({ path: `/images/${name}/json`, accept: [404] });
    await answer.body.dump();
    return answer.statusCode !== 404;
  }

  /** Containers with a label, in any state. */
  async containers(label: string): Promise<z.infer<typeof Containers>> {
    return Containers.parse(await this.#json('/containers/json', { all: 'true', ...labelFilter(label) }));
  }

  async images(label?: string): Promise<z.infer<typeof Images>> {
    return Images.parse(await this.#json('/images/json', label ? labelFilter(label) : {}));
  }

  async networks(label?: string): Promise<z.infer<typeof Networks>> {
    return Networks.parse(await this.#json('/networks', label ? labelFilter(label) : {}));
  }

  /** Sends SIGTERM, and SIGKILL after the grace period. A container that has stopped or is gone is no error. */
  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    await this.#do({
      method: 'POST',
      path: `/containers/${id}/stop`,
      query: { t: String(graceSeconds) },
      timeoutMs: graceSeconds * 1000 + 30_000,
      accept: [304, 404],
    });
  }

  async removeContainer(id: string): Promise<void> {
    const query = { force: 'true', v: 'true' };
    await this.#do({ method: 'DELETE', path: `/containers/${id}`, query, timeoutMs: 60_000, accept: [404, 409] });
  }

  async removeImage(id: string): Promise<void> {
    await this.#do({
      method: 'DELETE',
      path: `/images/${id}`,
      query: { force: 'true' },
      timeoutMs: 60_000,
      accept: [404, 409],
    });
  }

  async removeNetwork(id: string): Promise<void> {
    await this.#do({ method: 'DELETE', path: `/networks/${id}`, accept: [403, 404] });
  }

  /**
   * Pulls an image. Gives up if the registry has not started to respond within `answerMs`.
   * @returns null on success, else the reason
   */
  async pull(name: string, answerMs: number, onProgress: (text: string) => void): Promise<string | null> {
    const [image = name, tag = 'latest'] = name.split(':');
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), answerMs);
    try {
      const answer = await this.#send(
        { method: 'POST', path: '/images/create', query: { fromImage: image, tag }, timeoutMs: 600_000 },
        stop.signal,
      );
      if (answer.statusCode !== 200) return EngineError.parse(await answer.body.json()).message;
      for await (const line of jsonLines(answer.body)) {
        // The registry has started to respond, so the download may now take its time.
        clearTimeout(timer);
        if (line.error) return line.error;
        if (line.status && !line.id) onProgress(line.status);
      }
      return null;
    } catch (error) {
      if (stop.signal.aborted) return `no answer in ${answerMs / 1000} s`;
      if (error instanceof OrkestrError) return error.message;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #json(path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
    return (await this.#call({ path, query, timeoutMs: 30_000 })).body.json();
  }

  async #do(call: Call): Promise<void> {
    await (await this.#call(call)).body.dump();
  }

  async #call(call: Call): Promise<Dispatcher.ResponseData> {
    const answer = await this.#send(call, AbortSignal.timeout(call.timeoutMs ?? CALL_TIMEOUT_MS));
    if (answer.statusCode < 300 || call.accept?.includes(answer.statusCode)) return answer;
    throw new OrkestrError('ORK_PREPARE_FAILED', `Docker Engine refused ${call.method ?? 'GET'} ${call.path}.`, {
      evidence: [`HTTP ${answer.statusCode}`, (await answer.body.text()).slice(0, 500)],
    });
  }

  async #send(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const query = new URLSearchParams(call.query).toString();
    try {
      return await request(`http://engine${API}${call.path}${query ? `?${query}` : ''}`, {
        method: call.method ?? 'GET',
        dispatcher: this.#agent,
        headersTimeout: 0,
        bodyTimeout: 0,
        signal,
      });
    } catch (cause) {
      throw new OrkestrError('ORK_ENGINE_UNREACHABLE', `Docker Engine at ${this.#socket} does not answer.`, { cause });
    }
  }
}

const labelFilter = (label: string): Record<string, string> => ({ filters: JSON.stringify({ label: [label] }) });

const EngineError = z.object({ message: z.string() });
/** Progress of an image pull: one JSON object per line. */
const PullLine = z.object({ status: z.string().optional(), id: z.string().optional(), error: z.string().optional() });

async function* jsonLines(body: AsyncIterable<Buffer>): AsyncGenerator<z.infer<typeof PullLine>> {
  let rest = '';
  for await (const part of body) {
    const lines = (rest + part.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim()) yield PullLine.parse(JSON.parse(line));
  }
}
