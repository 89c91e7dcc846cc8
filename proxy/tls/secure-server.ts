/** TLS of our listeners: 1.2 and 1.3, forward secrecy only, shared tickets, ALPN, and TLS-ALPN-01. */
import type { Socket } from 'node:net';
import type { Server, TlsOptions } from 'node:tls';
import type { Timeouts } from '../config.ts';
import { ChallengeGate } from './challenge-gate.ts';
import { MODERN } from './context.ts';
import type { StaticTerminator } from './static-terminator.ts';
import type { Terminator } from './terminator.ts';

/** Protocols for an app's visitors. */
type Protocol = 'h2' | 'http/1.1';
type HandshakeTimeout = Pick<Timeouts, 'handshakeMs'>;

/**
 * Options for `tls.createServer` (or `http2.createSecureServer`). A name without a certificate ends the handshake with
 * an alert. The server still needs {@link attachTls}.
 *
 * @param handshakeMs what takes longer is closed
 * @param alpn in our order of preference; a client that offers none of them is refused (no_application_protocol), a
 *   client without ALPN is accepted with `alpnProtocol === false`
 */
export function secureServerOptions(
  terminator: Terminator,
  { handshakeMs }: HandshakeTimeout,
  { alpn }: { readonly alpn: readonly Protocol[] },
): TlsOptions {
  return {
    ...MODERN,
    handshakeTimeout: handshakeMs,
    ALPNProtocols: [...alpn],
    // Without a context OpenSSL has no certificate and sends handshake_failure; an error would close without an alert.
    SNICallback: (serverName, done) => done(null, terminator.contextFor(serverName) ?? undefined),
  };
}

/**
 * Keeps a server's ticket keys current, staples OCSP responses, and answers handshakes of open TLS-ALPN-01 challenges
 * with the challenge's certificate. The server may listen itself or get connections by `emit('connection')`.
 *
 * @returns detaches it
 */
export function attachTls(server: Server, terminator: StaticTerminator, { handshakeMs }: HandshakeTimeout): () => void {
  const staple = (certificate: Buffer, _issuer: Buffer, done: (error: null, response: Buffer) => void): void => {
    // Null means no response: the documentation permits it, the types do not.
    done(null, terminator.stapleFor(certificate) as Buffer);
  };
  const gate = new ChallengeGate(terminator, handshakeMs);
  const [accept, ...others] = server.listeners('connection') as ((socket: Socket) => void)[];
  if (!accept || others.length > 0) throw new TypeError('a TLS server has one listener of its own for connections');
  const admit = (socket: Socket): void => gate.admit(socket, (admitted) => accept.call(server, admitted));
  const detach = terminator.onTicketKeys((keys) => server.setTicketKeys(keys));
  server.on('OCSPRequest', staple);
  server.off('connection', accept).on('connection', admit);
  return () => {
    detach();
    server.off('OCSPRequest', staple);
    server.off('connection', admit).on('connection', accept);
  };
}
