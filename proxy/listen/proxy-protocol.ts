/**
 * The PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): a load balancer in front sends the client's
 * address before the client's own first byte. Read only from trusted addresses. A pure parser: it gets all bytes
 * received so far and keeps nothing.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { canonicalAddress } from '../../protocol/client-network.ts';

/** The client for which the sender speaks. */
interface ProxiedSource {
  readonly address: string;
  readonly port: number;
}

type ProxyHeader =
  | { readonly state: 'more' }
  /** Not the PROXY protocol, or a violation of its specification: the connection is closed. */
  | { readonly state: 'bad' }
  | {
      readonly state: 'done';
      /** Bytes of the header; the client's own bytes follow. */
      readonly length: number;
      /** Null: the sender speaks for itself (LOCAL, a health check) or does not know. The socket's own peer counts. */
      readonly source: ProxiedSource | null;
    };

const MORE: ProxyHeader = { state: 'more' };
const BAD: ProxyHeader = { state: 'bad' };

const SIGNATURE_1 = Buffer.from('PROXY ', 'latin1');
const SIGNATURE_2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Including CRLF, as in the specification. */
const MAX_BYTES_1 = 107;
/** Version 2 allows 64 KiB; what senders actually send (addresses, TLS facts, ids) is far smaller. */
const MAX_BYTES_2 = 4096;

/** @param bytes everything received on the connection so far */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsLike(bytes, SIGNATURE_1)) return bytes.length < SIGNATURE_1.length ? MORE : readText(bytes);
  if (beginsLike(bytes, SIGNATURE_2)) return bytes.length < HEAD_2 ? MORE : readBinary(bytes);
  return BAD;
}

/** True when one of the two is a prefix of the other. */
function beginsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

function readText(bytes: Buffer): ProxyHeader {
  const text = bytes.toString('latin1', 0, MAX_BYTES_1);
  const end = text.indexOf('\r\n');
  if (end < 0) return bytes.length < MAX_BYTES_1 ? MORE : BAD;
  const length = end + 2;
  // The receiver must ignore what follows UNKNOWN.
  if (/^PROXY UNKNOWN(?: |$)/.test(text.slice(0, end))) return { state: 'done', length, source: null };
  const [, family, ...values] = text.slice(0, end).split(' ');
  const source = readAddresses(family === 'TCP4' ? isIPv4 : isIPv6, values);
  return source === null || !/^TCP[46]$/.test(family ?? '') ? BAD : { state: 'done', length, source };
}

/** @param values source address, destination address, source port, destination port */
function readAddresses(isAddress: (text: string) => boolean, values: readonly string[]): ProxiedSource | null {
  const [from = '', to = '', fromPort = '', toPort = '', ...more] = values;
  const hasZone = from.includes('%') || to.includes('%');
  const areAddresses = isAddress(from) && isAddress(to) && !hasZone;
  if (more.length > 0 || !areAddresses || !isPort(fromPort) || !isPort(toPort)) return null;
  return sourceOf(from, Number(fromPort));
}

const isPort = (text: string): boolean => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;

function sourceOf(text: string, port: number): ProxiedSource | null {
  const address = canonicalAddress(text);
  return address === null ? null : { address, port };
}

/** Bytes of signature, version and command, family and transport, and the length of the rest. */
const HEAD_2 = 16;
const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPECIFIED = 0x00;
const TCP_4 = 0x11;
const TCP_6 = 0x21;
/** Family and transport → bytes of addresses and ports. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [UNSPECIFIED, 0],
  [TCP_4, 12],
  [0x12, 12],
  [TCP_6, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
]);

function readBinary(bytes: Buffer): ProxyHeader {
  const [command = 0, family = 0] = bytes.subarray(12, 14);
  const length = HEAD_2 + bytes.readUInt16BE(14);
  const addressBytes = ADDRESS_BYTES.get(family);
  if ((command !== LOCAL && command !== PROXY) || addressBytes === undefined || length > MAX_BYTES_2) return BAD;
  if (bytes.length < length) return MORE;
  const header = bytes.subarray(0, length);
  // LOCAL may carry anything, which the receiver must ignore.
  if (command === LOCAL) return { state: 'done', length, source: null };
  if (family !== UNSPECIFIED && !isSound(header, HEAD_2 + addressBytes)) return BAD;
  return { state: 'done', length, source: readSource(header, family) };
}

/** Other families and transports are valid, but contain nothing that a TCP listener could use. */
function readSource(header: Buffer, family: number): ProxiedSource | null {
  if (family === TCP_4) return { address: [...header.subarray(16, 20)].join('.'), port: header.readUInt16BE(24) };
  if (family !== TCP_6) return null;
  const groups = Array.from({ length: 8 }, (_, index) => header.readUInt16BE(HEAD_2 + 2 * index).toString(16));
  return sourceOf(groups.join(':'), header.readUInt16BE(48));
}

const TLV_HEAD = 3;
const TLV_CRC32C = 0x03;

/** True when addresses and extensions fill the header exactly, and its checksum, if there is one, is right. */
function isSound(header: Buffer, extensionsAt: number): boolean {
  let at = extensionsAt;
  while (at + TLV_HEAD <= header.length) {
    const bytes = header.readUInt16BE(at + 1);
    const value = at + TLV_HEAD;
    if (value + bytes > header.length) return false;
    if (header[at] === TLV_CRC32C && (bytes !== 4 || !hasChecksum(header, value))) return false;
    at = value + bytes;
  }
  return at === header.length;
}

/** The checksum is over the whole header with zeros in its own place. */
function hasChecksum(header: Buffer, at: number): boolean {
  const blank = Buffer.from(header);
  blank.writeUInt32BE(0, at);
  return crc32c(blank) === header.readUInt32BE(at);
}

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), reflected. node:zlib has only the other polynomial. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
