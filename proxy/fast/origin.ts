/** The fields that name the client to the target, built as bytes once per client and host of a connection. */
import { isAt } from '../http/bytes.ts';
import { originHeaders } from '../http/headers.ts';
import type { Client } from '../policy/client-address.ts';

export class OriginLines {
  /** The client of the last request, and its Host as the client wrote it. */
  #client: Client = { address: '', secure: false };
  #authority: Buffer = Buffer.alloc(0);
  /** All lines; the last one is X-Request-Id without its value. */
  #lines: Buffer = Buffer.alloc(0);

  /** True when the last request came from the same client for the same host. */
  isFor(client: Client, bytes: Uint8Array, start: number, end: number): boolean {
    const isSame = client.address === this.#client.address && client.secure === this.#client.secure;
    return isSame && end - start === this.#authority.length && isAt(bytes, start, this.#authority);
  }

  /** @param authority host and port as the client wrote them */
  set(client: Client, authority: string): void {
    this.#client = client;
    this.#authority = Buffer.from(authority, 'latin1');
    const protocol = client.secure ? 'https' : 'http';
    const fields = originHeaders({ address: client.address, protocol, authority, requestId: '' });
    const lines = Object.entries(fields).flatMap(([name, value]) => (name === 'host' ? [] : [`${name}: ${value}`]));
    this.#lines = Buffer.from(lines.join('\r\n'), 'latin1');
  }

  get lines(): Buffer {
    return this.#lines;
  }
}
