/** Which names a CA can be asked for. */
import { isIP } from 'node:net';

/** Of RFC 6761, 6762 with its appendix G, and 8375: what an intranet calls itself. */
const INTRANET = ['local', 'internal', 'home.arpa', 'lan', 'home', 'intranet', 'private', 'corp', 'test'];
/** CAs for the internet alone, by the end of their host's name. Others may be the owner's, and know an intranet's names. */
const PUBLIC_CAS = ['letsencrypt.org'];

/**
 * False for addresses, and for the names of an intranet where all CAs are for the internet: to ask would fail for ever.
 *
 * @param directories URLs of the CAs that are asked
 */
export function canBeAsked(host: string, directories: readonly string[]): boolean {
  if (isIP(host) !== 0) return false;
  return !isIntranet(host) || directories.some((url) => !isBelow(new URL(url).hostname, PUBLIC_CAS));
}

const isIntranet = (host: string): boolean => !host.includes('.') || isBelow(host, INTRANET);

const isBelow = (host: string, domains: readonly string[]): boolean =>
  domains.some((domain) => host === domain || host.endsWith(`.${domain}`));
