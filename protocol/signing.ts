/** ed25519 signatures (RFC 8032) over text: hosts and hub prove their identity with them, and the hub signs jobs. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as edSign,
  verify as edVerify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { z } from 'zod';
import { EdgeOrder } from './edge-order.ts';
import { OrkestrError } from './errors.ts';
import { Job, type SignedJob } from './job.ts';
import { parseJson } from './json.ts';

export interface KeyPairPem {
  /** PKCS #8 PEM. Store with mode 0600. */
  readonly privateKey: string;
  /** SPKI PEM. */
  readonly publicKey: string;
}

export function makeKeyPair(): KeyPairPem {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** Signature over the UTF-8 bytes of `text`, base64. */
export function signText(text: string, privateKeyPem: string): string {
  return edSign(null, Buffer.from(text), createPrivateKey(privateKeyPem)).toString('base64');
}

/** Whether `signature` (base64) over `text` was made by the holder of `publicKeyPem`. False for malformed input. */
export function isSignedBy(text: string, signature: string, publicKeyPem: string): boolean {
  const key = readPublicKey(publicKeyPem);
  return key !== undefined && edVerify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));
}

/** The key if the text is the PEM of an ed25519 public key, else undefined. */
export function readPublicKey(pem: string): KeyObject | undefined {
  // createPublicKey takes private keys too; one sent by mistake must not pass for its public half.
  if (!pem.startsWith('-----BEGIN PUBLIC KEY-----')) return undefined;
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined; // not a key at all: the caller knows whose it should have been
  }
}

/** Wraps a job for the wire. The signature covers the exact payload bytes, so no canonical JSON is needed. */
export function signJob(job: Job, hubPrivateKeyPem: string): SignedJob {
  const payload = JSON.stringify(job);
  return { payload, signature: signText(jobProof(payload), hubPrivateKeyPem) };
}

/** Like {@link signJob}, for new edge settings. */
export function signEdgeOrder(order: EdgeOrder, hubPrivateKeyPem: string): SignedJob {
  const payload = JSON.stringify(order);
  return { payload, signature: signText(edgeProof(payload), hubPrivateKeyPem) };
}

/**
 * Unwraps a job. Checks the signature before the schema, so that nothing unsigned is ever parsed.
 * @throws OrkestrError ORK_SIGNATURE, ORK_JOB_REFUSED
 */
export const openJob = (signed: SignedJob, hubPublicKeyPem: string): Job =>
  open(signed, jobProof, hubPublicKeyPem, Job);

/** Like {@link openJob}, for new edge settings. @throws OrkestrError ORK_SIGNATURE, ORK_JOB_REFUSED */
export const openEdgeOrder = (signed: SignedJob, hubPublicKeyPem: string): EdgeOrder =>
  open(signed, edgeProof, hubPublicKeyPem, EdgeOrder);

function open<T>(
  { payload, signature }: SignedJob,
  proof: (payload: string) => string,
  hubPublicKeyPem: string,
  schema: z.ZodType<T>,
): T {
  if (!isSignedBy(proof(payload), signature, hubPublicKeyPem)) {
    throw new OrkestrError('ORK_SIGNATURE', 'The job is not signed by the hub that this host was enrolled with.');
  }
  const read = schema.safeParse(parseJson(payload));
  if (read.success) return read.data;
  throw new OrkestrError(
    'ORK_JOB_REFUSED',
    `The job does not have the shape of version 1: ${read.error.issues[0]?.message ?? 'unknown'}.`,
  );
}

const jobProof = (payload: string): string => `orkestr-job-v1\n${payload}`;
/** A different prefix, so that a signed edge order never passes for a job, or the reverse. */
const edgeProof = (payload: string): string => `orkestr-edge-v1\n${payload}`;
