/** Certificate fields that node:crypto does not expose (RFC 5280). Imported only where it is needed. */
import { Constructed, fromBER, Integer, ObjectIdentifier, OctetString } from 'asn1js';
import type { AsnType } from 'asn1js';

/** Extension OIDs. */
const AUTHORITY_KEY_ID = '2.5.29.35';
const TLS_FEATURE = '1.3.6.1.5.5.7.1.24';
/** `status_request` in the TLS feature extension: must-staple (RFC 7633). */
const STATUS_REQUEST = 5;

/** One DER value. @throws when the bytes are not DER, or when more bytes follow */
export function readDer(der: Uint8Array): AsnType {
  const { result, offset } = fromBER(Uint8Array.from(der));
  if (offset !== der.length) throw new TypeError(`not DER: ${result.error || 'bytes are left'}`);
  return result;
}

/** The values inside a constructed one. @throws when it is not constructed */
export function partsOf(block: AsnType | undefined): AsnType[] {
  if (!(block instanceof Constructed)) throw new TypeError('not the ASN.1 structure that belongs here');
  return block.valueBlock.value;
}

/** The bytes of a value as they were in the message, with its tag and length. */
export const bytesOf = (block: AsnType): Buffer => Buffer.from(block.valueBeforeDecodeView);

/** Fields of tbsCertificate from the serial number on (the version before it is optional): serial, …, issuer at 2. */
export function fieldsOf(certificate: Uint8Array): AsnType[] {
  const fields = partsOf(partsOf(readDer(certificate))[0]);
  return fields[0] instanceof Integer ? fields : fields.slice(1);
}

/** Content of the serial number as encoded, including a leading zero. */
export function serialOf(certificate: Uint8Array): Buffer {
  const [serial] = fieldsOf(certificate);
  if (!(serial instanceof Integer)) throw new TypeError('a certificate without serial number');
  return Buffer.from(serial.valueBlock.valueHexView);
}

/** @throws when the certificate lacks it */
export function authorityKeyIdOf(certificate: Uint8Array): Buffer {
  const value = extensionOf(certificate, AUTHORITY_KEY_ID);
  const id = value && partsOf(value).find(({ idBlock }) => idBlock.tagClass === 3 && idBlock.tagNumber === 0);
  if (!id) throw new TypeError('a certificate without key id of its issuer');
  const bytes = bytesOf(id);
  return bytes.subarray(id.idBlock.blockLength + id.lenBlock.blockLength);
}

/** True when clients must accept the certificate only with a stapled OCSP response. */
export function mustStaple(certificate: Uint8Array): boolean {
  const value = extensionOf(certificate, TLS_FEATURE);
  return (
    value !== null &&
    partsOf(value).some((part) => part instanceof Integer && part.valueBlock.valueDec === STATUS_REQUEST)
  );
}

function extensionOf(certificate: Uint8Array, oid: string): AsnType | null {
  const tagged = fieldsOf(certificate).find(({ idBlock }) => idBlock.tagClass === 3 && idBlock.tagNumber === 3);
  for (const extension of tagged ? partsOf(partsOf(tagged)[0]) : []) {
    const [name, ...rest] = partsOf(extension);
    const value = rest.at(-1);
    if (name instanceof ObjectIdentifier && name.valueBlock.toString() === oid && value instanceof OctetString) {
      return readDer(value.valueBlock.valueHexView);
    }
  }
  return null;
}
