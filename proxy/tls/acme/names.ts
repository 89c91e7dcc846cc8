/** Which names a CA can issue certificates for. */
import { isIP } from 'node:net';

/** Domains of intranets: RFC 6761, RFC 6762 with its appendix G, and RFC 8375. */
const INTRANET = ['local', 'internal', 'home.arpa', 'lan', 'home', 'intranet', 'private', 'corp', 'test'];
/** CAs that serve only the internet, by the end of their host name. Any other may be the owner's, for an intranet. */
const PUBLIC_CAS = ['letsencrypt.org'];

/**
 * False for addresses, and for intranet names if every CA serves only the internet: such a request would always fail.
 *
 * @param directories URLs of the configured CAs
 */
export function canBeAsked(host: string, directories: readonly string[]): boolean {
  if (isIP(host) !== 0) return false;
  return !isIntranet(host) || directories.some((url) => !isBelow(new URL(url).hostname, PUBLIC_CAS));
}

const isIntranet = (host: string): boolean => !host.includes('.') || isBelow(host, INTRANET);

const isBelow = (host: string, domains: readonly string[]): boolean =>
  domains.some((domain) => host === domain || host.endsWith(`.${domain}`));
