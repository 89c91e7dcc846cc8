/** HTTPS to a CA, with limits on time and size and its own list of trusted CAs. */
import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { getCACertificates } from 'node:tls';
import { reasonOf } from '../../../protocol/service/dialling.ts';
import { AcmeProblem } from './problem.ts';

const TIMEOUT_MS = 30_000;
/** Certificate chains are the largest responses, at some 10 KiB. */
const MAX_RESPONSE_BYTES = 1_048_576;
/** The longest wait that a CA can ask for; a longer Retry-After is cut to it. */
const MAX_RETRY_AFTER_MS = 7 * 86_400_000;

export interface AcmeResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Parsed if it is JSON, otherwise the text. */
  readonly data: unknown;
  readonly retryAfterMs: number | null;
}

export class Transport {
  readonly #caPem: string | null;
  #agent: Agent | null = null;
  readonly #signal: AbortSignal;

  /**
   * @param caPem CAs to trust in addition to those that come with Node
   * @param signal aborts all requests
   */
  constructor(caPem: string | null, signal: AbortSignal) {
    this.#caPem = caPem;
    this.#signal = signal;
  }

  /** @throws AcmeProblem ORK_ACME_UNREACHABLE when there is no complete response in time */
  async request(url: string, method: string, json?: unknown): Promise<AcmeResponse> {
    const { protocol, host } = new URL(url);
    if (protocol !== 'https:') throw new AcmeProblem('ORK_ACME_UNREACHABLE', `${host} is not offered by https.`);
    try {
      return await this.#exchange(url, method.toUpperCase(), json);
    } catch (error) {
      throw new AcmeProblem('ORK_ACME_UNREACHABLE', `No answer of ${host}: ${reasonOf(error)}.`);
    }
  }

  async #exchange(url: string, method: string, json: unknown): Promise<AcmeResponse> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method, agent: this.#connections, signal, headers: headersOf(json) };
      const outgoing = request(url, options, resolve);
      outgoing.on('error', reject);
      outgoing.end(json === undefined ? undefined : JSON.stringify(json));
    });
    const text = await readBounded(response);
    const isJson = /[/+]json\b/.test(response.headers['content-type'] ?? '');
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      data: isJson && text !== '' ? JSON.parse(text) : text,
      retryAfterMs: readRetryAfter(response.headers['retry-after']),
    };
  }

  /** Made for the first request, because Node's bundled CAs take 2 MB. */
  get #connections(): Agent {
    this.#agent ??= new Agent({ keepAlive: true, maxSockets: 4, timeout: TIMEOUT_MS, ca: trustedBeside(this.#caPem) });
    return this.#agent;
  }

  close(): void {
    this.#agent?.destroy();
  }
}

/** Explicit, because this process otherwise trusts what OpenSSL finds (installer/stack/proxy-program.ts). */
function trustedBeside(caPem: string | null): string[] {
  return [...getCACertificates('bundled'), ...getCACertificates('extra'), ...(caPem === null ? [] : [caPem])];
}

const headersOf = (json: unknown): Record<string, string> => ({
  'user-agent': 'orkestr-proxy',
  // RFC 8555 section 6.2.
  ...(json !== undefined && { 'content-type': 'application/jose+json' }),
});

async function readBounded(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_RESPONSE_BYTES) throw new Error(`more than ${MAX_RESPONSE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Seconds or a date (RFC 9110 section 10.2.3) as ms from now; null when it is neither. */
export function readRetryAfter(value: string | undefined, now = Date.now()): number | null {
  if (value === undefined) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
