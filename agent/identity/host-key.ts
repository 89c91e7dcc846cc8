/** The ed25519 key with which this host signs. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { isSignedBy, makeKeyPair, signText } from '../../protocol/signing.ts';
import type { KeyPairPem } from '../../protocol/signing.ts';
import { readOptional, writeFileAtomic } from '../lib/files.ts';

export const KEY_FILE = 'host-key.pem';
/** A key that the hub does not know yet, or whose response was lost. */
const JOINING_KEY_FILE = `${KEY_FILE}.joining`;

/** Signs as this host, without exposing the key. */
type HostSigner = (text: string) => string;

/** The host's signing function. @throws OrkestrError ORK_CONFIG if there is no complete key pair */
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

/** @returns null if there is no complete key pair */
export const readHostKey = (stateFolder: string): KeyPairPem | null => readKey(stateFolder, KEY_FILE);

/** The key that a host without one sends to a hub: the same one until {@link keepJoiningKey}, even after a crash. */
export const joiningKey = (stateFolder: string): KeyPairPem =>
  readKey(stateFolder, JOINING_KEY_FILE) ?? makeKey(stateFolder);

/** The hub has accepted the key: from now on it is this host's. */
export const keepJoiningKey = (stateFolder: string): void =>
  renameSync(join(stateFolder, JOINING_KEY_FILE), join(stateFolder, KEY_FILE));

function makeKey(stateFolder: string): KeyPairPem {
  const pair = makeKeyPair();
  writeFileAtomic(join(stateFolder, JOINING_KEY_FILE), `${pair.privateKey}${pair.publicKey}`, 0o600);
  return pair;
}

function readKey(stateFolder: string, file: string): KeyPairPem | null {
  const text = readOptional(join(stateFolder, file));
  return text === null ? null : keyPairOf(text);
}

const PROBE = 'one pair?';

/**
 * Both halves are in one file, so that they cannot come from two pairs; checks that one verifies what the other signs.
 * @returns null if the pair is not complete
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
