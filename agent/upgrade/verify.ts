/** Who made a release, and whether its files are the ones that were released. */
import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { Sha256 } from '../../protocol/release.ts';

/** Sums by file name, of a list that `publicKey` has signed. */
export type Sums = ReadonlyMap<string, string>;

/**
 * The list of sums, once its ed25519 signature (RFC 8032) is known to be right: nothing of it is read before.
 * @param publicKey base64 of its DER SubjectPublicKeyInfo, of the release that runs
 * @throws OrkestrError ORK_UPGRADE_SIGNATURE; ORK_UPGRADE_UNSUPPORTED for a damaged key
 */
export function readSums(sumsFile: string, signatureFile: string, publicKey: string): Sums {
  const text = readFileSync(sumsFile);
  if (!verify(null, text, keyOf(publicKey), readFileSync(signatureFile))) {
    throw new OrkestrError(
      'ORK_UPGRADE_SIGNATURE',
      'The signature of the release is wrong: it was not made by the publisher of the running release.',
    );
  }
  return new Map(
    text
      .toString('utf8')
      .split('\n')
      .filter(Boolean)
      .map((line): [string, string] => [line.slice(66), Sha256.parse(line.slice(0, 64))]),
  );
}

function keyOf(publicKey: string): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  } catch (cause) {
    const message = 'The key of the running release is damaged, so no other release can be verified with it.';
    throw new OrkestrError('ORK_UPGRADE_UNSUPPORTED', message, { cause });
  }
}

/** SHA-256 of a file, hexadecimal. */
export async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** @throws OrkestrError ORK_UPGRADE_SIGNATURE when the file is not the one that the list names */
export async function checkSum(path: string, name: string, sums: Sums): Promise<void> {
  const found = await sumOf(path);
  if (found === sums.get(name)) return;
  throw new OrkestrError('ORK_UPGRADE_SIGNATURE', `${name} does not match the release's list of checksums.`, {
    evidence: [`its SHA-256: ${found}`, `the list's: ${sums.get(name) ?? 'none'}`],
  });
}
