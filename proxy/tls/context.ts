/** The parameters of every TLS context here: 1.2 and 1.3, forward secrecy only, tickets that any worker takes. */
import { constants, createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext, TlsOptions } from 'node:tls';

/**
 * TLS 1.3's suites, and of TLS 1.2 those with an ephemeral key and an authenticated cipher. AES before ChaCha20, but a
 * client that puts ChaCha20 first (no AES in its hardware) gets it.
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

/** The hybrid with ML-KEM is what current browsers send a share of; OpenSSL asks no client for another round for it. */
const GROUPS = 'X25519MLKEM768:X25519:prime256v1:secp384r1';

/** Seconds for which a ticket is good, if its key lives that long. */
const TICKET_SECONDS = 43_200;

/** The same in every context, process and restart: OpenSSL resumes a session only where its id context is the same. */
const SESSION_ID_CONTEXT = createHash('sha256').update('orkestr-proxy').digest('hex').slice(0, 32);

export const MODERN = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: CIPHERS,
  ecdhCurve: GROUPS,
  honorCipherOrder: true,
  // No renegotiation: HTTP needs none, and a client can make it a load.
  secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_NO_RENEGOTIATION,
  sessionIdContext: SESSION_ID_CONTEXT,
  sessionTimeout: TICKET_SECONDS,
} as const satisfies TlsOptions;

/** The context of one certificate. Throws what OpenSSL finds wrong with it. */
export function makeContext({ chain, privateKey }: { chain: string; privateKey: string }): SecureContext {
  return createSecureContext({ ...MODERN, cert: chain, key: privateKey });
}
