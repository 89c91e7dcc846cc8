/** The fields that say to the target who asks: put together once per client connection and host, as bytes. */
import { originHeaders } from '../general/headers.ts';
import { isAt } from './bytes.ts';

export class OriginLines {
  readonly #address: string;
  readonly #protocol: 'http' | 'https';
  /** Of the last request: Host as the client wrote it. */
  #authority: Buffer = Buffer.alloc(0);
  /** All lines; the last is X-Request-Id without its value. */
  #lines: Buffer = Buffer.alloc(0);

  constructor(address: string, secure: boolean) {
    this.#address = address;
    this.#protocol = secure ? 'https' : 'http';
  }

  /** True when the connection's last request was for the same host. */
  isFor(bytes: Uint8Array, start: number, end: number): boolean {
    return end - start === this.#authority.length && isAt(bytes, start, this.#authority);
  }

  /** @param authority host and port as the client wrote them */
  set(authority: string): void {
    this.#authority = Buffer.from(authority, 'latin1');
    const fields = originHeaders({ address: this.#address, protocol: this.#protocol, authority, requestId: '' });
    const lines = Object.entries(fields).flatMap(([name, value]) => (name === 'host' ? [] : [`${name}: ${value}`]));
    this.#lines = Buffer.from(lines.join('\r\n'), 'latin1');
  }

  get lines(): Buffer {
    return this.#lines;
  }
}
