/**
 * Connections to the proxy like those of its visitors: from many addresses, since the proxy caps each, and over TLS
 * mostly with an earlier session, as browsers and libraries do it. All share one TLS context.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';

/** Addresses of visitors: 127.0.1.1 and so on, all of them this machine (RFC 1122 section 3.2.1.3 g). */
const ADDRESSES = 32;
/** One in this many TLS connections is from a first-time visitor: a full handshake. */
const FIRST_VISIT_ONE_OF = 4;

export interface Destination {
  readonly http: string;
  readonly https: string | null;
  readonly host: string;
  /** PEM. */
  readonly ca: string;
}

export class Dialer {
  readonly host: string;
  readonly hasTls: boolean;
  readonly #ports: { readonly http: number; readonly https: number };
  readonly #context: SecureContext;
  #session: Buffer | undefined;
  #dialled = 0;

  constructor({ http, https, host, ca }: Destination) {
    this.host = host;
    this.hasTls = https !== null;
    this.#ports = { http: portOf(http), https: https === null ? 0 : portOf(https) };
    this.#context = createSecureContext({ ca });
  }

  /** @returns a connection that is being established */
  dial(): Socket {
    return connect({ ...this.#way(this.#ports.http), noDelay: true });
  }

  /** The same over TLS, with the given protocol. */
  dialTls(protocol: 'http/1.1' | 'h2'): TLSSocket {
    const isKnown = this.#dialled % FIRST_VISIT_ONE_OF !== 0;
    const socket = connectTls({
      ...this.#way(this.#ports.https),
      servername: this.host,
      secureContext: this.#context,
      ALPNProtocols: [protocol],
      session: isKnown ? this.#session : undefined,
    });
    socket.setNoDelay(true);
    socket.on('session', (session: Buffer) => {
      this.#session = session;
    });
    return socket;
  }

  #way(port: number): { host: string; port: number; localAddress: string } {
    this.#dialled += 1;
    return { host: '127.0.0.1', port, localAddress: `127.0.1.${1 + (this.#dialled % ADDRESSES)}` };
  }
}

const portOf = (url: string): number => Number(new URL(url).port);
