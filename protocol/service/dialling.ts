/** How all our processes connect to a name with several addresses, and how they report that no address answered. */
import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

/**
 * Time for one address before the next is tried, ms. A lost first packet is sent again after 1000 ms (RFC 6298), and
 * its answer arrives from anywhere within another 1000 ms.
 */
const ADDRESS_MS = 2000;

/**
 * Call it when a process starts. By default Node abandons an address after 250 ms for good. A name with a distant IPv4
 * address, and an IPv6 address on a machine without IPv6, could then never be reached.
 */
export const dialPatiently = (): void => setDefaultAutoSelectFamilyAttemptTimeout(ADDRESS_MS);

/** An error's message. If none of a name's addresses answered, the error has none: joins those of the addresses. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
