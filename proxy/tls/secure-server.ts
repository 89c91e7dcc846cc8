/** How our listeners speak TLS: 1.2 and 1.3, forward secrecy only, shared tickets, ALPN, and TLS-ALPN-01 (RFC 8737). */
import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { MODERN } from './context.ts';
import type { StaticTerminator } from './static-terminator.ts';
import type { Terminator } from './terminator.ts';

/** ALPN name of a challenge's handshake. Such a connection carries nothing and is closed after it (RFC 8737 section 3). */
export const ACME_TLS_PROTOCOL = 'acme-tls/1';

/** What an app's visitors may speak. */
export type Protocol = 'h2' | 'http/1.1';

const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Options for `tls.createServer` (or `http2.createSecureServer`). A name without a certificate ends the handshake with
 * an alert. The server still needs {@link attachTls}.
 *
 * @param alpn in our order of preference; a client that offers none of them is refused (no_application_protocol), one
 *   that offers nothing is let in and has `alpnProtocol === false`
 */
export function secureServerOptions(
  terminator: Terminator,
  { alpn }: { readonly alpn: readonly Protocol[] },
): TlsOptions {
  return {
    ...MODERN,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    SNICallback(serverName, done) {
      // OpenSSL asks for the name before the protocol. So a host that has no certificate yet gets the challenge's, which
      // the CA needs and nobody else trusts; where there is a certificate the protocol decides, below. Without a context
      // (an empty one has no certificate) OpenSSL sends handshake_failure; an error here would close without an alert.
      const context = terminator.contextFor(serverName) ?? terminator.challengeContextFor(serverName);
      done(null, context ?? undefined);
    },
    ALPNCallback: function (this: TLSSocket, { servername, protocols }) {
      if (protocols.includes(ACME_TLS_PROTOCOL)) {
        const context = terminator.challengeContextFor(servername);
        if (context === null) return undefined;
        this.setKeyCert(context);
        return ACME_TLS_PROTOCOL;
      }
      return alpn.find((protocol) => protocols.includes(protocol));
    },
  };
}

/**
 * Keeps a listener at the present ticket keys, staples OCSP responses and ends challenge connections after their
 * handshake. To be called before the server's own `secureConnection` listener is added.
 *
 * @returns what ends it
 */
export function attachTls(server: Server, terminator: StaticTerminator): () => void {
  const staple = (certificate: Buffer, _issuer: Buffer, done: (error: null, response: Buffer) => void): void => {
    // Null is no response: the types do not know it, the documentation does.
    done(null, terminator.stapleFor(certificate) as Buffer);
  };
  const endChallenge = (socket: TLSSocket): void => {
    if (socket.alpnProtocol === ACME_TLS_PROTOCOL) socket.end();
  };
  const detach = terminator.onTicketKeys((keys) => server.setTicketKeys(keys));
  server.on('OCSPRequest', staple);
  server.on('secureConnection', endChallenge);
  return () => {
    detach();
    server.off('OCSPRequest', staple);
    server.off('secureConnection', endChallenge);
  };
}
