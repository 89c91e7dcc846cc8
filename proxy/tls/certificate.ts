/** A certificate chain with its key, read and checked once: an unusable pair never reaches a listener. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import { RouteHost } from '../../protocol/ids.ts';
import { makeContext } from './context.ts';

/** Where a certificate comes from. An operator's file has precedence over one from ACME. */
type CertificateSource = 'acme' | 'file';

export interface Certificate {
  readonly source: CertificateSource;
  /** Host names in the certificate (subjectAltName): exact ones and `*.name`. */
  readonly hosts: readonly string[];
  /** PEM: the certificate first, then its chain. */
  readonly chain: string;
  /** PEM, unencrypted. Never logged, never in an error. */
  readonly privateKey: string;
  /** SHA-256 of the certificate, which identifies it. */
  readonly fingerprint: string;
  /** Common name of the issuer, or what replaces it. */
  readonly issuer: string;
  /** Wall clock, ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Its CA's OCSP responder; null when there is none (as with Let's Encrypt since 2025). */
  readonly ocspUrl: string | null;
}

/**
 * @throws OrkestrError ORK_CERTIFICATE_UNUSABLE: not PEM, a key of another certificate, an encrypted or too weak key,
 *   or no host name in it. The message discloses nothing of the key.
 */
export function readCertificate(source: CertificateSource, chain: string, privateKey: string): Certificate {
  const x509 = parse('certificate', () => new X509Certificate(chain));
  const key = parse('private key', () => createPrivateKey(privateKey));
  if (!x509.checkPrivateKey(key)) throw unusable('The private key is of another certificate');
  // Refuse here what OpenSSL would refuse at the first handshake: a weak key, a broken chain.
  parse('certificate chain', () => makeContext({ chain, privateKey }));
  const hosts = hostsOf(x509);
  if (hosts.length === 0) throw unusable('The certificate names no host (subjectAltName)');
  return {
    source,
    hosts,
    chain,
    privateKey,
    fingerprint: x509.fingerprint256,
    issuer: issuerOf(x509),
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
    ocspUrl: /^OCSP - URI:(https?:\/\/\S+)$/m.exec(x509.infoAccess ?? '')?.[1] ?? null,
  };
}

function parse<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    // OpenSSL's reason is a constant text: it names the fault without disclosing the input.
    throw unusable(`The ${what} is not usable: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  const reason = (error as { reason?: unknown }).reason;
  return typeof reason === 'string' ? reason : ((error as NodeJS.ErrnoException).code ?? 'unknown reason');
}

const unusable = (sentence: string): OrkestrError => new OrkestrError('ORK_CERTIFICATE_UNUSABLE', `${sentence}.`);

/** Names that a route can have; skips addresses and mail names in the same list. */
function hostsOf({ subjectAltName = '' }: X509Certificate): string[] {
  const names = subjectAltName
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice('DNS:'.length).toLowerCase());
  return [...new Set(names)].filter((name) => RouteHost.safeParse(name).success);
}

function issuerOf({ issuer }: X509Certificate): string {
  const fields = new Map(issuer.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line] as const));
  const line = fields.get('CN') ?? fields.get('O') ?? issuer;
  return line.slice(line.indexOf('=') + 1);
}

/** True while the certificate is valid at `now`, ms since 1970. */
export const isValidAt = ({ notBefore, notAfter }: Certificate, now: number): boolean =>
  notBefore <= now && now < notAfter;

/** `*.example.test` for `www.example.test`: a wildcard stands for exactly one label (RFC 9525 section 6.3). */
export function wildcardOf(host: string): string | null {
  const dot = host.indexOf('.');
  return dot > 0 ? `*${host.slice(dot)}` : null;
}

/** True when the certificate is for `host`, which may itself be a wildcard. */
export const names = ({ hosts }: Certificate, host: string): boolean =>
  hosts.includes(host) || (!host.startsWith('*.') && hosts.includes(wildcardOf(host) ?? ''));

/** Best first: valid before not valid, files before ACME, then the one that lasts longest. */
export function inOrder(certificates: readonly Certificate[], now: number): Certificate[] {
  const rank = (certificate: Certificate): number =>
    (isValidAt(certificate, now) ? 0 : 2) + (certificate.source === 'file' ? 0 : 1);
  return certificates.toSorted((a, b) => rank(a) - rank(b) || b.notAfter - a.notAfter);
}
