/** HTTP/1.1 in cleartext or over TLS, on keep-alive connections or on a new one each time. */
import type { Dialer } from './dialer.ts';
import { Http1Connection } from './http1-connection.ts';
import type { Ask, Receiver, Way } from './ways.ts';

/** Maximum number of kept connections; when all are busy a request waits, and its wait counts. */
const KEPT_AT_MOST = 256;

export class Http1Way implements Way {
  readonly name: string;
  readonly #dialer: Dialer;
  readonly #isTls: boolean;
  readonly #isKept: boolean;
  readonly #open = new Set<Http1Connection>();
  readonly #idle: Http1Connection[] = [];
  readonly #waiting: (readonly [Ask, Receiver])[] = [];

  constructor(dialer: Dialer, { tls, kept }: { tls: boolean; kept: boolean }) {
    this.name = `${kept ? 'kept' : 'new'} ${tls ? 'https' : 'http'}`;
    this.#dialer = dialer;
    this.#isTls = tls;
    this.#isKept = kept;
  }

  send(ask: Ask, receiver: Receiver): void {
    let idle = this.#idle.pop();
    // Both ends close connections that are idle for long; their `close` event may not have arrived yet.
    while (idle?.isOpen === false) idle = this.#idle.pop();
    if (idle) idle.send(ask, receiver);
    else if (this.#isKept && this.#open.size >= KEPT_AT_MOST) this.#waiting.push([ask, receiver]);
    else this.#connect().send(ask, receiver);
  }

  close(): void {
    for (const connection of this.#open) connection.destroy();
  }

  #connect(): Http1Connection {
    const connection: Http1Connection = new Http1Connection({
      socket: this.#isTls ? this.#dialer.dialTls('http/1.1') : this.#dialer.dial(),
      host: this.#dialer.host,
      isKept: this.#isKept,
      idle: () => this.#free(connection),
      closed: () => this.#gone(connection),
    });
    this.#open.add(connection);
    return connection;
  }

  #free(connection: Http1Connection): void {
    const next = this.#waiting.shift();
    if (next) connection.send(...next);
    else this.#idle.push(connection);
  }

  #gone(connection: Http1Connection): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const next = this.#waiting.shift();
    if (next) this.send(...next);
  }
}
