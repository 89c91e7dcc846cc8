/** What the listeners need from TLS. */
import type { SecureContext } from 'node:tls';

export interface Terminator {
  /** The context for a server name (SNI, case-insensitive); null without a certificate: the handshake fails. */
  contextFor(serverName: string): SecureContext | null;
  /** The context for an `acme-tls/1` handshake (RFC 8737) while a challenge for that name is open; otherwise null. */
  challengeContextFor(serverName: string): SecureContext | null;
  /** Body of `/.well-known/acme-challenge/<token>` (RFC 8555 section 8.3) while that challenge is open; else null. */
  httpChallenge(token: string): string | null;
  /** True while any HTTP-01 challenge is open: only then do the engines check paths. */
  readonly challenging: boolean;
  /** True when `host` has a certificate that is valid now. */
  covers(host: string): boolean;
}
