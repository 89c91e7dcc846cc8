/** Parameters of all TLS contexts: TLS 1.2 and 1.3, forward secrecy only, tickets that every worker accepts. */
import { constants, createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext, TlsOptions } from 'node:tls';

/**
 * The suites of TLS 1.3, and those of TLS 1.2 with an ephemeral key and an AEAD cipher. AES comes before ChaCha20, but
 * a client that puts ChaCha20 first (no AES in its hardware) gets ChaCha20.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** Current browsers send a key share for the ML-KEM hybrid; OpenSSL makes no client do another round trip for it. */
const GROUPS = 'X25519MLKEM768:X25519:prime256v1:secp384r1';

/** How long a ticket is valid if its key lives that long, s. */
const TICKET_SECONDS = 43_200;

/** The same in every context, process and start: OpenSSL resumes a session only under the same id context. */
const SESSION_ID_CONTEXT = createHash('sha256').update('orkestr-proxy').digest('hex').slice(0, 32);

export const MODERN = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: CIPHERS,
  ecdhCurve: GROUPS,
  honorCipherOrder: true,
  // No renegotiation: HTTP does not need it, and a client can use it to cause load.
  secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_NO_RENEGOTIATION,
  sessionIdContext: SESSION_ID_CONTEXT,
  sessionTimeout: TICKET_SECONDS,
} as const satisfies TlsOptions;

/** The context of one certificate. Throws OpenSSL's error when it is not usable. */
export function makeContext({ chain, privateKey }: { chain: string; privateKey: string }): SecureContext {
  return createSecureContext({ ...MODERN, cert: chain, key: privateKey });
}
