/** Passwords that visitors of an app send to the edge. */
import { randomBytes, scrypt } from 'node:crypto';
import type { ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { PASSWORD_COST } from '../../protocol/edge.ts';

/** Octets, as specified in protocol/edge.ts. */
const SALT_BYTES = 16;
const KEY_BYTES = 32;

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** The stored form of a password (protocol/edge.ts, PasswordHash): scrypt (RFC 7914) with a random salt. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, KEY_BYTES, PASSWORD_COST);
  return `scrypt:${salt.toString('base64')}:${key.toString('base64')}`;
}
