/** The random strings that open doors: API tokens, join tokens, sessions. Shown once, kept as a hash only. */
import { createHash, randomBytes } from 'node:crypto';

/** 256 bits: cannot be guessed, so a plain hash is enough at rest (no salt, no slow hash). 43 base64url characters. */
const TOKEN_BYTES = 32;

export const API_TOKEN_PREFIX = 'ork_';
export const JOIN_TOKEN_PREFIX = 'orj_';
export const SESSION_PREFIX = 'ors_';

/** A new token: prefix and 43 base64url characters. The prefix lets secret scanners and people know what it is. */
export function makeSecretToken(prefix: string): string {
  return prefix + randomBytes(TOKEN_BYTES).toString('base64url');
}

/** SHA-256 of a token, hex: what is stored and looked up. */
export function hashSecretToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
