/** The hub's signing key: hosts pin its public half at enrolment, so it is made once and must never be lost. */
import { createPublicKey, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';
import { makeKeyPair, readPublicKey } from '../../protocol/signing.ts';
import type { KeyPairPem } from '../../protocol/signing.ts';

/**
 * The key pair whose private half is in `path` (PKCS #8 PEM, mode 0600); it is made when the file is absent.
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

/** Written whole and flushed before it has its name: a crash leaves no half key, and no key is written over. */
function makeKeyFile(path: string): string {
  const part = `${path}.${randomUUID()}`;
  const file = openSync(part, 'wx', 0o600);
  try {
    writeSync(file, makeKeyPair().privateKey);
    fsyncSync(file);
    linkSync(part, path);
  } finally {
    closeSync(file);
    rmSync(part);
  }
  return readFileSync(path, 'utf8');
}
