/** Verifies who made a release, and that its files are the released ones. */
import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { Sha256 } from '../../protocol/release.ts';

/** SHA-256 sums by file name, from a list that `publicKey` signed. */
export type Sums = ReadonlyMap<string, string>;

/**
 * Parses the list of sums after it has verified its ed25519 signature (RFC 8032).
 * @param publicKey base64 of its DER SubjectPublicKeyInfo, from the release that runs
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

/** @throws OrkestrError ORK_UPGRADE_SIGNATURE if the sum of the file differs from the list */
export async function checkSum(path: string, name: string, sums: Sums): Promise<void> {
  const found = await sumOf(path);
  if (found === sums.get(name)) return;
  throw new OrkestrError('ORK_UPGRADE_SIGNATURE', `${name} does not match the release's list of checksums.`, {
    evidence: [`its SHA-256: ${found}`, `the list's: ${sums.get(name) ?? 'none'}`],
  });
}
