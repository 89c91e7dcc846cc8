/** The ed25519 key that this host signs with. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { isSignedBy, makeKeyPair, signText } from '../../protocol/signing.ts';
import type { KeyPairPem } from '../../protocol/signing.ts';
import { readIfThere, writeFileAtomic } from '../lib/files.ts';

export const KEY_FILE = 'host-key.pem';
/** A key that the hub has not been told, or whose answer was lost. */
const JOINING_KEY_FILE = `${KEY_FILE}.joining`;

/** Signs as this host. The key stays inside. */
type HostSigner = (text: string) => string;

/** The host's signing function. @throws OrkestrError ORK_CONFIG when there is no key, or what is left of one */
export function hostSigner(stateFolder: string): HostSigner {
  const pair = readHostKey(stateFolder);
  if (!pair) {
    throw new OrkestrError(
      'ORK_CONFIG',
      `${join(stateFolder, KEY_FILE)} does not hold a complete key pair. Join the hub again.`,
    );
  }
  return (text) => signText(text, pair.privateKey);
}

/** @returns null when there is none, or not a whole one */
export const readHostKey = (stateFolder: string): KeyPairPem | null => readKey(stateFolder, KEY_FILE);

/** What a host without a key sends a hub: the same one until {@link keepJoiningKey}, also after a crash. */
export const joiningKey = (stateFolder: string): KeyPairPem =>
  readKey(stateFolder, JOINING_KEY_FILE) ?? makeKey(stateFolder);

/** The hub has taken it: from now on it is this host's. */
export const keepJoiningKey = (stateFolder: string): void =>
  renameSync(join(stateFolder, JOINING_KEY_FILE), join(stateFolder, KEY_FILE));

function makeKey(stateFolder: string): KeyPairPem {
  const pair = makeKeyPair();
  writeFileAtomic(join(stateFolder, JOINING_KEY_FILE), `${pair.privateKey}${pair.publicKey}`, 0o600);
  return pair;
}

function readKey(stateFolder: string, file: string): KeyPairPem | null {
  const text = readIfThere(join(stateFolder, file));
  return text === null ? null : keyPairOf(text);
}

const PROBE = 'one pair?';

/**
 * Both halves stand in one file, so that they can never be of two pairs: what the one signs, the other must accept.
 * @returns null when they are not there, whole
 */
export function keyPairOf(text: string): KeyPairPem | null {
  const border = text.indexOf('-----BEGIN PUBLIC KEY-----');
  const pair = { privateKey: text.slice(0, border), publicKey: text.slice(border) };
  try {
    return isSignedBy(PROBE, signText(PROBE, pair.privateKey), pair.publicKey) ? pair : null;
  } catch {
    return null; // not even a private key
  }
}
