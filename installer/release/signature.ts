/** ed25519 (RFC 8032) over the list of checksums, by the release's key, which is never on a host. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';

interface ReleaseKey {
  /** base64 of the DER SubjectPublicKeyInfo. */
  readonly publicKey: string;
  /** @returns 64 raw bytes */
  sign(text: string): Buffer;
}

/** @throws OrkestrError ORK_CONFIG if the file is not an ed25519 private key in PEM */
export function readReleaseKey(file: string): ReleaseKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(file));
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `${file} is not a readable private key in PEM.`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new OrkestrError(
      'ORK_CONFIG',
      `${file} holds a key of type ${key.asymmetricKeyType}; releases need ed25519.`,
    );
  }
  return {
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64'),
    sign: (text) => sign(null, Buffer.from(text), key),
  };
}

/** A new private key, readable by its owner only. Never overwrites one. */
export function makeReleaseKey(file: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
}
