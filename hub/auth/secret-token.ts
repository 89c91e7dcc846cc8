/** Random secrets: API tokens, join tokens, sessions. Shown once, stored only as a hash. */
import { createHash, randomBytes } from 'node:crypto';

/** 256 bits cannot be guessed, so a plain hash is enough at rest (no salt, no slow hash). 43 base64url characters. */
const TOKEN_BYTES = 32;

export const API_TOKEN_PREFIX = 'ork_';
export const JOIN_TOKEN_PREFIX = 'orj_';
export const SESSION_PREFIX = 'ors_';

/** A new token: prefix and 43 base64url characters. The prefix identifies it to secret scanners and people. */
export function makeSecretToken(prefix: string): string {
  return prefix + randomBytes(TOKEN_BYTES).toString('base64url');
}

/** SHA-256 of a token, hex: the form in which it is stored and looked up. */
export function hashSecretToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
