/** The hub's signing key. Hosts pin its public half at enrolment, so it is created once and must never be lost. */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';
import { makePrivateFile } from '../../protocol/service/new-file.ts';
import { makeKeyPair, readPublicKey } from '../../protocol/signing.ts';
import type { KeyPairPem } from '../../protocol/signing.ts';

/**
 * Loads the key pair from its private half in `path` (PKCS #8 PEM, mode 0600). Creates the file if it is absent.
 * @throws OrkestrError ORK_CONFIG when the file holds something else
 */
export function loadHubKey(path: string): KeyPairPem {
  const privateKey = readIfThere(path) ?? makeKeyFile(path);
  try {
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
    if (readPublicKey(publicKey) === undefined) throw new Error('not an ed25519 key');
    return { privateKey, publicKey };
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `The file ${path} does not hold the hub's private key.`, { cause });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeKeyFile(path: string): string {
  makePrivateFile(path, makeKeyPair().privateKey);
  return readFileSync(path, 'utf8');
}
