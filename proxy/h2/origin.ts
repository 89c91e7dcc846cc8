/** What a connection tells targets about who asks: put together once per authority that its client asks for. */
import { originHeaders } from '../general/headers.ts';
import type { Client } from '../policy/client-address.ts';
import { normalizeHost } from '../routing/host.ts';

export class Origin {
  readonly #client: Client;
  /** Of the last request. */
  #authority = '';
  #host: string | null = null;
  #lines = '';

  constructor(client: Client) {
    this.#client = client;
  }

  /** The host of an authority, normalised; null: it names none. */
  hostOf(authority: string): string | null {
    if (authority !== this.#authority) this.#set(authority);
    return this.#host;
  }

  /** Lines of HTTP/1.1: host and origin; the last one is X-Request-Id without its value. */
  linesFor(authority: string): string {
    if (authority !== this.#authority) this.#set(authority);
    return this.#lines;
  }

  #set(authority: string): void {
    this.#authority = authority;
    this.#host = normalizeHost(authority);
    const { address, secure } = this.#client;
    const fields = originHeaders({ address, protocol: secure ? 'https' : 'http', authority, requestId: '' });
    this.#lines = Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\r\n');
  }
}
