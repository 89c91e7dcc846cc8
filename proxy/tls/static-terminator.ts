/** The {@link Terminator} of one process. It decides nothing and serves the state that it got last. */
import { createHash, X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import { wildcardOf } from './certificate.ts';
import { makeContext } from './context.ts';
import type { TerminatorChange, TerminatorState } from './state.ts';
import type { Terminator } from './terminator.ts';

type Listener = (ticketKeys: Buffer) => void;

interface Entry {
  readonly context: SecureContext;
  readonly notBefore: number;
  readonly notAfter: number;
}

export class StaticTerminator implements Terminator {
  readonly #clock: Clock;
  /** Exact names and `*.name`. */
  #entries: ReadonlyMap<string, Entry> = new Map();
  /** By their content, so that a change of one certificate does not rebuild the contexts of all others. */
  #contexts: ReadonlyMap<string, SecureContext> = new Map();
  #staples: ReadonlyMap<string, Buffer> = new Map();
  #http: ReadonlyMap<string, string> = new Map();
  #alpn: ReadonlyMap<string, SecureContext> = new Map();
  #ticketKeys: Buffer | null = null;
  readonly #listeners = new Set<Listener>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Applies the parts that are present. */
  update({ certificates, challenges, ticketKeys }: TerminatorChange): void {
    if (certificates) this.#setCertificates(certificates);
    if (challenges) {
      this.#http = new Map(Object.entries(challenges.http));
      this.#alpn = new Map(Object.entries(challenges.alpn).map(([host, pair]) => [host, makeContext(pair)]));
    }
    if (ticketKeys !== undefined) {
      this.#ticketKeys = Buffer.from(ticketKeys, 'base64');
      for (const listener of this.#listeners) listener(this.#ticketKeys);
    }
  }

  #setCertificates(certificates: TerminatorState['certificates']): void {
    const contexts = new Map<string, SecureContext>();
    const entries = new Map<string, Entry>();
    const staples = new Map<string, Buffer>();
    for (const { hosts, notBefore, notAfter, staple, ...pair } of certificates) {
      const id = createHash('sha256').update(pair.chain).update(pair.privateKey).digest('base64');
      const context = this.#contexts.get(id) ?? makeContext(pair);
      contexts.set(id, context);
      if (staple) staples.set(new X509Certificate(pair.chain).raw.toString('base64'), Buffer.from(staple, 'base64'));
      for (const host of hosts) if (!entries.has(host)) entries.set(host, { context, notBefore, notAfter });
    }
    this.#contexts = contexts;
    this.#entries = entries;
    this.#staples = staples;
  }

  contextFor(serverName: string): SecureContext | null {
    return this.#find(serverName.toLowerCase().replace(/\.$/, ''))?.context ?? null;
  }

  /** The exact name wins over a wildcard, unless only the wildcard is valid: an expired file may still lie there. */
  #find(host: string): Entry | undefined {
    const exact = this.#entries.get(host);
    if (exact && this.#isValid(exact)) return exact;
    const wildcard = this.#entries.get(wildcardOf(host) ?? '');
    return wildcard && this.#isValid(wildcard) ? wildcard : (exact ?? wildcard);
  }

  covers(host: string): boolean {
    const entry = this.#find(host);
    return entry !== undefined && this.#isValid(entry);
  }

  #isValid({ notBefore, notAfter }: Entry): boolean {
    const now = this.#clock.now().getTime();
    return notBefore <= now && now < notAfter;
  }

  challengeContextFor(serverName: string): SecureContext | null {
    return this.#alpn.get(serverName.toLowerCase()) ?? null;
  }

  httpChallenge(token: string): string | null {
    return this.#http.get(token) ?? null;
  }

  get challenging(): boolean {
    return this.#http.size > 0;
  }

  /** True while any TLS-ALPN-01 challenge is open: only then are ClientHellos inspected. */
  get challengingAlpn(): boolean {
    return this.#alpn.size > 0;
  }

  /** The OCSP response (DER) to staple for a certificate; null when there is none. Never waits. */
  stapleFor(certificate: Buffer): Buffer | null {
    return this.#staples.get(certificate.toString('base64')) ?? null;
  }

  /** Calls `listener` with the current ticket keys and at each rotation. Returns the function that unregisters it. */
  onTicketKeys(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#ticketKeys) listener(this.#ticketKeys);
    return () => this.#listeners.delete(listener);
  }
}
