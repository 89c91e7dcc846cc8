/**
 * OCSP responses for certificates whose CA still provides them, fetched in advance and kept over a restart. A handshake
 * uses what is there and never waits; without a good response it proceeds without one.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { dirname } from 'node:path';
import { z } from 'zod';
import { toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../clock.ts';
import type { Certificate } from './certificate.ts';
import { makePrivateFolder, writePrivateFile } from '../private-file.ts';

const RETRY_MS = 300_000;
/** When the responder returns the same response again, the next request waits for this part of its remaining life. */
const SHARE_OF_REST = 1 / 8;
const TIMEOUT_MS = 10_000;
const MAX_RESPONSE_BYTES = 65_536;

const Staple = z.object({ response: z.base64(), thisUpdate: z.number(), nextUpdate: z.number() });
type Staple = z.infer<typeof Staple>;
const Saved = z.record(z.string(), Staple);

export class Stapler {
  readonly #path: string;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** By fingerprint. */
  #staples: ReadonlyMap<string, Staple> = new Map();
  readonly #failures = new Map<string, { readonly retryAt: number; readonly reason: string; readonly must: boolean }>();
  /** By fingerprint, ms: when to ask again if the responder still returned the same response. */
  readonly #askAgainAt = new Map<string, number>();
  #running: Promise<boolean> | null = null;

  /** @param path of the file that stores the responses */
  constructor(path: string, log: Logger, clock: Clock) {
    this.#path = path;
    this.#log = log;
    this.#clock = clock;
  }

  /** Loads the stored responses. Never rejects: a damaged file only costs new requests. */
  async load(): Promise<void> {
    try {
      this.#staples = new Map(Object.entries(Saved.parse(JSON.parse(await readFile(this.#path, 'utf8')))));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#log.warn({ path: this.#path }, 'the kept OCSP responses are damaged; asking for new ones');
    }
  }

  /** Base64 of the response to staple now; null when there is no good one. */
  stapleOf({ fingerprint }: Certificate): string | null {
    const staple = this.#staples.get(fingerprint);
    return staple && staple.nextUpdate > this.#now() ? staple.response : null;
  }

  /** Why a must-staple certificate (RFC 7633) has no response, with the error code. */
  errorOf(certificate: Certificate): string | null {
    const failure = this.#failures.get(certificate.fingerprint);
    if (!failure?.must || this.stapleOf(certificate) !== null) return null;
    return `ORK_CERTIFICATE_STAPLE: the certificate is only taken with an OCSP response, and ${failure.reason}.`;
  }

  /** Fetches the responses that are due, one at a time. True when a response was added, replaced or dropped. */
  async refresh(certificates: readonly Certificate[]): Promise<boolean> {
    this.#running ??= this.#refresh(certificates).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #refresh(certificates: readonly Certificate[]): Promise<boolean> {
    const known = new Set(certificates.map(({ fingerprint }) => fingerprint));
    const kept = [...this.#staples].filter(([id, { nextUpdate }]) => known.has(id) && nextUpdate > this.#now());
    let changed = kept.length !== this.#staples.size;
    this.#staples = new Map(kept);
    for (const notes of [this.#failures, this.#askAgainAt]) {
      for (const id of notes.keys()) if (!known.has(id)) notes.delete(id);
    }
    for (const certificate of certificates.filter((one) => this.#isDue(one))) {
      changed = (await this.#fetch(certificate)) || changed;
    }
    if (changed) await this.#save();
    return changed;
  }

  #isDue({ fingerprint, ocspUrl }: Certificate): boolean {
    if (ocspUrl === null) return false;
    const staple = this.#staples.get(fingerprint);
    const dueAt = staple ? halfLife(staple) : 0;
    const retryAt = this.#failures.get(fingerprint)?.retryAt ?? 0;
    return Math.max(dueAt, retryAt, this.#askAgainAt.get(fingerprint) ?? 0) <= this.#now();
  }

  /** Responders return the same response until near its end; without this a due one would be requested at each look. */
  #noteNext(fingerprint: string, staple: Staple): void {
    const now = this.#now();
    const { nextUpdate } = staple;
    if (halfLife(staple) > now) this.#askAgainAt.delete(fingerprint);
    else {
      const later = now + Math.max(RETRY_MS, (nextUpdate - now) * SHARE_OF_REST);
      this.#askAgainAt.set(fingerprint, Math.min(later, nextUpdate));
    }
  }

  async #fetch(certificate: Certificate): Promise<boolean> {
    const { fingerprint, chain, hosts } = certificate;
    const [leaf, issuer] = chainOf(chain);
    // Loaded with the first certificate that needs OCSP.
    const [{ makeOcspRequest, readOcspResponse }, { mustStaple }] = await Promise.all([
      import('./ocsp.ts'),
      import('./x509.ts'),
    ]);
    try {
      if (!leaf || !issuer) throw new Error('the file lacks the certificate of the issuer');
      const response = await askResponder(certificate.ocspUrl ?? '', makeOcspRequest(leaf, issuer));
      const times = readOcspResponse(response, leaf, issuer, this.#now());
      const staple = { response: response.toString('base64'), ...times };
      const isNew = this.#staples.get(fingerprint)?.response !== staple.response;
      this.#staples = new Map([...this.#staples, [fingerprint, staple]]);
      this.#failures.delete(fingerprint);
      this.#noteNext(fingerprint, staple);
      return isNew;
    } catch (error) {
      // The previous response, if any, is stapled for as long as it is good.
      const reason = `there is no good one: ${toErrorReport(error).message}`;
      const must = leaf !== undefined && mustStaple(leaf.raw);
      this.#failures.set(fingerprint, { retryAt: this.#now() + RETRY_MS, reason, must });
      this.#log.warn({ hosts, url: certificate.ocspUrl, must, reason }, 'no OCSP response to staple');
      return false;
    }
  }

  async #save(): Promise<void> {
    try {
      await makePrivateFolder(dirname(this.#path));
      await writePrivateFile(this.#path, JSON.stringify(Object.fromEntries(this.#staples)));
    } catch (error) {
      // It is in use; only a restart has to fetch it again.
      this.#log.warn({ error: toErrorReport(error).message }, 'OCSP responses could not be kept');
    }
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}

/** When to fetch the next one: half of a response's life is left for failures. */
function halfLife({ thisUpdate, nextUpdate }: Staple): number {
  return (thisUpdate + nextUpdate) / 2;
}

/** The first two certificates of a chain. */
function chainOf(chain: string): X509Certificate[] {
  const blocks = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.slice(0, 2).map((block) => new X509Certificate(block));
}

/** Sends a DER request over HTTP (RFC 6960 appendix A.1). Rejects when there is no response. */
async function askResponder(url: string, question: Buffer): Promise<Buffer> {
  const send = url.startsWith('https:') ? secureRequest : request;
  const headers = { 'content-type': 'application/ocsp-request', 'content-length': question.length };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = send(
      url,
      { method: 'POST', headers, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) },
      resolve,
    );
    // The process may exit without waiting for a responder.
    outgoing.on('socket', (socket) => socket.unref());
    outgoing.on('error', reject).end(question);
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_RESPONSE_BYTES) throw new Error(`more than ${MAX_RESPONSE_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (response.statusCode !== 200) throw new Error(`the responder answered ${response.statusCode}`);
  return Buffer.concat(chunks);
}
