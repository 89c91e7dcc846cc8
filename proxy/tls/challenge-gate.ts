/**
 * TLS-ALPN-01 (RFC 8737). While such a challenge is open, a connection whose ClientHello offers `acme-tls/1` and
 * nothing else gets the challenge's certificate.
 *
 * OpenSSL reports the protocol only after it has chosen the certificate, and with TLS 1.3 Node cannot change it then
 * (`setKeyCert` in an ALPNCallback has no effect, Node 24.21): a renewal would present the old certificate to the CA,
 * or the challenge's to visitors. So the gate reads the first record itself and then passes it to OpenSSL whole.
 */
import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Server } from 'node:tls';
import { MODERN } from './context.ts';
import type { StaticTerminator } from './static-terminator.ts';

/** ALPN name of challenge handshakes. Such a connection carries no data and is closed after the handshake. */
const ACME_TLS_PROTOCOL = 'acme-tls/1';

/** The only protocol in the list, as RFC 8737 section 3 requires: list length, name length, name. */
const ONLY_PROTOCOL = Buffer.from(`\0\x0b\x0a${ACME_TLS_PROTOCOL}`, 'latin1');

const HANDSHAKE_RECORD = 22;
const RECORD_HEAD_BYTES = 5;
/** RFC 8446 section 5.1. No CA sends a ClientHello of more than one record. */
const MAX_RECORD_BYTES = 16_384;

export class ChallengeGate {
  readonly #terminator: StaticTerminator;
  readonly #server: Server;
  readonly #timeoutMs: number;

  /** @param timeoutMs applies to the first record, and again to the handshake */
  constructor(terminator: StaticTerminator, timeoutMs: number) {
    this.#terminator = terminator;
    this.#timeoutMs = timeoutMs;
    this.#server = createServer({
      ...MODERN,
      handshakeTimeout: timeoutMs,
      ALPNProtocols: [ACME_TLS_PROTOCOL],
      // Without a context OpenSSL has no certificate and ends the handshake with an alert.
      SNICallback: (serverName, done) => done(null, terminator.challengeContextFor(serverName) ?? undefined),
    });
    this.#server.on('secureConnection', (socket) => {
      // The CA may reset the connection as soon as it has seen the certificate.
      socket.on('error', () => socket.destroy());
      socket.end();
    });
  }

  /** Calls `accept` with every connection that is not a CA's; at once when no challenge is open. */
  admit(socket: Socket, accept: (socket: Socket) => void): void {
    if (!this.#terminator.challengingAlpn) {
      accept(socket);
      return;
    }
    this.#readHello(socket, (hello) => {
      socket.unshift(hello);
      if (hello.includes(ONLY_PROTOCOL)) this.#server.emit('connection', socket);
      else accept(socket);
    });
  }

  #readHello(socket: Socket, done: (hello: Buffer) => void): void {
    let hello = Buffer.alloc(0);
    const stop = (): void => {
      clearTimeout(timer);
      socket.off('readable', read).off('error', fail).off('close', stop);
    };
    const fail = (): void => {
      stop();
      socket.destroy();
    };
    const read = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) {
        if (socket.readableEnded) fail();
        return;
      }
      hello = Buffer.concat([hello, chunk]);
      if (!isWhole(hello)) return;
      stop();
      done(hello);
    };
    const timer = setTimeout(fail, this.#timeoutMs).unref();
    socket.on('readable', read).on('error', fail).on('close', stop);
  }
}

/** True when the first record is complete, or when it cannot be a challenge's. */
function isWhole(bytes: Buffer): boolean {
  if (bytes.length < RECORD_HEAD_BYTES) return bytes.length > 0 && bytes[0] !== HANDSHAKE_RECORD;
  const length = bytes.readUInt16BE(3);
  return bytes[0] !== HANDSHAKE_RECORD || length > MAX_RECORD_BYTES || bytes.length >= RECORD_HEAD_BYTES + length;
}
