/** OCSP messages (RFC 6960): the request for one certificate, and the validation of a responder's response. */
import { createHash, verify, X509Certificate } from 'node:crypto';
import { BitString, Enumerated, GeneralizedTime, Integer, Null, ObjectIdentifier, OctetString, Sequence } from 'asn1js';
import type { AsnType } from 'asn1js';
import { bytesOf, fieldsOf, partsOf, readDer, serialOf } from './x509.ts';

const SHA1 = '1.3.14.3.2.26';
const BASIC_RESPONSE = '1.3.6.1.5.5.7.48.1.1';
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';

/** Signature algorithms that still count as secure → digest. */
const DIGESTS = new Map([
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
]);

/** Indexes of fields of tbsCertificate, from the serial number on. */
const ISSUER = 2;
const PUBLIC_KEY = 5;

/** Context-specific tag. */
const isTagged = ({ idBlock }: AsnType, number: number): boolean =>
  idBlock.tagClass === 3 && idBlock.tagNumber === number;

/** DER of the request for the status of `certificate`, for its issuer's responder. */
export function makeOcspRequest(certificate: X509Certificate, issuer: X509Certificate): Buffer {
  const question = new Sequence({ value: [certificateId(certificate, issuer)] });
  const list = new Sequence({ value: [question] });
  return Buffer.from(new Sequence({ value: [new Sequence({ value: [list] })] }).toBER());
}

function certificateId(certificate: X509Certificate, issuer: X509Certificate): Sequence {
  const name = fieldsOf(certificate.raw)[ISSUER];
  const key = partsOf(fieldsOf(issuer.raw)[PUBLIC_KEY])[1];
  if (!name || !(key instanceof BitString)) throw new TypeError('not a certificate');
  const digest = (bytes: Uint8Array) => new OctetString({ valueHex: createHash('sha1').update(bytes).digest() });
  return new Sequence({
    value: [
      // Responders expect SHA-1 (RFC 6960 section 4.3). It only identifies the issuer here and protects nothing.
      new Sequence({ value: [new ObjectIdentifier({ value: SHA1 }), new Null()] }),
      digest(bytesOf(name)),
      digest(key.valueBlock.valueHexView),
      new Integer({ valueHex: serialOf(certificate.raw) }),
    ],
  });
}

/** A response with the status good. Times in ms since 1970. */
interface GoodResponse {
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}

/**
 * Validates a response like a client, so that we never staple one that would make clients refuse the handshake.
 *
 * @param now ms since 1970
 * @throws Error with the reason not to staple it
 */
export function readOcspResponse(
  der: Buffer,
  certificate: X509Certificate,
  issuer: X509Certificate,
  now: number,
): GoodResponse {
  const [status, tagged] = partsOf(readDer(der));
  if (!(status instanceof Enumerated) || status.valueBlock.valueDec !== 0) throw new Error('the responder refuses');
  const [type, octets] = partsOf(partsOf(tagged)[0]);
  if (!(type instanceof ObjectIdentifier) || type.valueBlock.toString() !== BASIC_RESPONSE)
    throw new Error('unknown kind');
  if (!(octets instanceof OctetString)) throw new Error('no response in the response');
  const [data, algorithm, signature, certificates] = partsOf(readDer(octets.valueBlock.valueHexView));
  if (!data || !isSigned(data, algorithm, signature, signersOf(certificates, issuer, now))) {
    throw new Error('the signature is not of the CA');
  }
  const id = Buffer.from(certificateId(certificate, issuer).toBER());
  const responses = partsOf(partsOf(data).findLast((part) => part instanceof Sequence));
  for (const response of responses) {
    const [name, state, thisUpdate, next] = partsOf(response);
    if (!name || !state || !bytesOf(name).equals(id)) continue;
    if (!isTagged(state, 0)) throw new Error(isTagged(state, 1) ? 'the certificate is revoked' : 'it is not known');
    return readTimes(thisUpdate, next, now);
  }
  throw new Error('it is about another certificate');
}

function readTimes(thisUpdate: AsnType | undefined, next: AsnType | undefined, now: number): GoodResponse {
  const nextUpdate = next && isTagged(next, 0) ? partsOf(next)[0] : undefined;
  // A response without nextUpdate would have to be fetched again for each handshake.
  if (!(thisUpdate instanceof GeneralizedTime) || !(nextUpdate instanceof GeneralizedTime)) throw new Error('no times');
  const times = { thisUpdate: thisUpdate.toDate().getTime(), nextUpdate: nextUpdate.toDate().getTime() };
  if (times.thisUpdate > now || times.nextUpdate <= now) throw new Error('it is not of now');
  return times;
}

/** The CA itself, and responders that it authorised to sign (RFC 6960 section 4.2.2.2). */
function signersOf(certificates: AsnType | undefined, issuer: X509Certificate, now: number): X509Certificate[] {
  const sent = certificates ? partsOf(partsOf(certificates)[0]).map((part) => new X509Certificate(bytesOf(part))) : [];
  const delegates = sent.filter(
    (one) =>
      one.keyUsage?.includes(OCSP_SIGNING) &&
      one.validFromDate.getTime() <= now &&
      one.validToDate.getTime() > now &&
      one.verify(issuer.publicKey),
  );
  return [issuer, ...delegates];
}

function isSigned(
  data: AsnType,
  algorithm: AsnType | undefined,
  signature: AsnType | undefined,
  signers: readonly X509Certificate[],
): boolean {
  const [oid] = partsOf(algorithm);
  const digest = oid instanceof ObjectIdentifier ? DIGESTS.get(oid.valueBlock.toString()) : undefined;
  if (digest === undefined || !(signature instanceof BitString)) return false;
  const bytes = signature.valueBlock.valueHexView;
  return signers.some(({ publicKey }) => verify(digest, bytesOf(data), publicKey, bytes));
}
