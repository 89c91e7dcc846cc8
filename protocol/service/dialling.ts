/** How every process of ours dials a name that has several addresses, and how it tells that none of them answered. */
import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

/**
 * For one address before the next is tried, ms: a first packet that is lost is sent again after 1000 (RFC 6298), and has an answer
 * from anywhere within as much again.
 */
const ADDRESS_MS = 2000;

/**
 * To be called as a process starts. Node gives an address up after 250 ms and does not come back to it: a name with an IPv4 address
 * that is far away, and one of IPv6 on a machine that has none, could never be reached.
 */
export const dialPatiently = (): void => setDefaultAutoSelectFamilyAttemptTimeout(ADDRESS_MS);

/** What an error says. The one of a name none of whose addresses answered has no words of its own: those of each address. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
