/** The fields that name the client to the target, built once per client and authority. */
import { originHeaders } from '../http/headers.ts';
import type { Client } from '../policy/client-address.ts';
import { normalizeHost } from '../routing/host.ts';

/** Number of cached authorities. Browsers request all names of a certificate over one connection. */
const KEPT = 16;

interface Known {
  readonly authority: string;
  readonly host: string | null;
  readonly lines: string;
}

export class Origin {
  readonly client: Client;
  readonly #known = new Map<string, Known>();
  #last: Known | null = null;

  constructor(client: Client) {
    this.client = client;
  }

  /** The normalised host of an authority; null: the authority is not valid. */
  hostOf(authority: string): string | null {
    return this.#of(authority).host;
  }

  /** HTTP/1.1 lines with Host and the client's address; the last one is X-Request-Id without its value. */
  linesFor(authority: string): string {
    return this.#of(authority).lines;
  }

  #of(authority: string): Known {
    if (this.#last?.authority === authority) return this.#last;
    const known = this.#known.get(authority) ?? this.#make(authority);
    // An invalid authority may be of any length, and is not needed again.
    if (known.host !== null) this.#keep(known);
    return known;
  }

  #keep(known: Known): void {
    if (this.#known.size >= KEPT) this.#known.clear();
    this.#known.set(known.authority, known);
    this.#last = known;
  }

  #make(authority: string): Known {
    const { address, secure } = this.client;
    const fields = originHeaders({ address, protocol: secure ? 'https' : 'http', authority, requestId: '' });
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
    return { authority, host: normalizeHost(authority), lines: lines.join('\r\n') };
  }
}
