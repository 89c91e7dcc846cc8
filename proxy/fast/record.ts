/**
 * The record of a request in the fast engine: its fields, as policies and canaries see them, and its outcome, as the
 * observer gets it. One object serves all requests of a connection.
 */
import { performance } from 'node:perf_hooks';
import { givenRequestId } from '../http/headers.ts';
import type { Ended } from '../observe/observer.ts';
import { readClient } from '../policy/client-address.ts';
import type { Client } from '../policy/client-address.ts';
import type { Asked } from '../policy/policy.ts';
import type { Outcome } from '../upstream/target.ts';
import type { Shared } from './client.ts';
import type { RequestHead } from './head.ts';
import { RouteCache } from './route-cache.ts';

const EMPTY = Buffer.alloc(0);

export abstract class FastRecord implements Asked, Ended {
  readonly engine = 'fast';
  readonly httpVersion = '1.1';
  method = 'GET';
  target = '';
  contentLength: number | null = null;
  status = 0;
  outcome: Outcome = 'served';
  durationMs = 0;
  appMs = 0;
  bytesOut = 0;
  abstract readonly bytesIn: number;
  abstract readonly targetId: string | null;
  protected readonly shared: Shared;
  protected readonly routes = new RouteCache();
  /** The client: the connection's peer, or the client that a trusted peer names. */
  protected asker: Client;
  /** The bytes of the head; empty once its fields are no longer needed. */
  #head: Buffer = EMPTY;
  /** Number of the generated request id; 0: the client's own id is used. */
  #id = 0;
  #givenId = '';
  #startedAt = 0;

  constructor(peer: Client, shared: Shared) {
    this.asker = peer;
    this.shared = shared;
  }

  get host(): string {
    return this.routes.host;
  }

  get clientAddress(): string {
    return this.asker.address;
  }

  get secure(): boolean {
    return this.asker.secure;
  }

  get requestId(): string {
    return this.#id === 0 ? this.#givenId : this.shared.ids.text(this.#id);
  }

  header(name: string): string | undefined {
    return this.shared.head.fields.named(this.#head, name);
  }

  /** A head was read. @param speaker the peer, if it is trusted to name its client */
  protected arrived(bytes: Buffer, head: RequestHead, speaker: Client | null): void {
    this.#head = bytes;
    if (speaker !== null) this.asker = readClient(speaker, (name) => this.header(name), this.shared.trusted);
    this.method = head.method;
    this.target = bytes.toString('latin1', head.targetStart, head.targetEnd);
    this.contentLength = head.framing === 'length' ? head.contentLength : null;
  }

  /** The request was accepted. */
  protected began(bytes: Buffer, { requestIdStart, requestIdEnd }: RequestHead): void {
    this.status = 0;
    this.appMs = 0;
    this.bytesOut = 0;
    this.#startedAt = performance.now();
    const given = requestIdStart < 0 ? null : bytes.toString('latin1', requestIdStart, requestIdEnd);
    this.#givenId = given === null ? '' : (givenRequestId(given) ?? '');
    this.#id = this.#givenId === '' ? this.shared.ids.next() : 0;
  }

  /** @returns the offset after the id */
  protected writeId(out: Buffer, at: number): number {
    return this.#id === 0 ? at + out.write(this.#givenId, at, 'latin1') : this.shared.ids.write(this.#id, out, at);
  }

  /** The head of the app's response has arrived. */
  protected answered(status: number): void {
    this.appMs = performance.now() - this.#startedAt;
    this.status = status;
  }

  /** Releases the head once nothing reads its fields any more. */
  protected forgetHead(): void {
    this.#head = EMPTY;
  }

  protected concluded(outcome: Outcome): void {
    this.outcome = outcome;
    this.durationMs = performance.now() - this.#startedAt;
  }
}
