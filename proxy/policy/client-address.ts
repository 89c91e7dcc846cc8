/** Who the client is: the socket's peer, or what trusted proxies report. Pure functions. */
import { canonicalAddress } from '../../protocol/client-network.ts';
import type { AddressRanges } from './allow-list.ts';

/** The peer of a connection: of ours, or of the proxy's in front of us. */
export interface Client {
  /** IPv4 or IPv6 in its canonical text form, without `::ffff:` and zone. */
  readonly address: string;
  readonly secure: boolean;
}

/** How many trusted proxies in a row are followed. No sane chain is longer. */
const MAX_HOPS = 20;

/**
 * The client of a request. What the peer reports counts only when the peer is trusted, and what the hops before it
 * report only while they are trusted too. So the answer is the rightmost untrusted address, and nobody can prepend a
 * better one. `X-Forwarded-For` takes precedence over `Forwarded` (RFC 7239): a load balancer sets the former and
 * passes on what clients claim in the latter.
 *
 * The app never sees these chains: it gets our own fields with the one address found here (http/headers.ts).
 *
 * @param peer according to the socket or the PROXY protocol
 * @param trusted null: no address is trusted
 */
export function readClient(
  peer: Client,
  header: (name: string) => string | undefined,
  trusted: AddressRanges | null,
): Client {
  if (trusted === null || !trusted.has(peer.address)) return peer;
  const chain = header('x-forwarded-for');
  const forwarded = chain === undefined ? header('forwarded') : undefined;
  const hops = chain === undefined ? forwardedParameters(forwarded, 'for') : elements(chain, ',');
  const schemes = elements(header('x-forwarded-proto') ?? '', ',');
  // The peer, which is trusted, has set the rightmost scheme.
  const scheme = schemes.at(-1) ?? forwardedParameters(forwarded, 'proto').at(-1);
  return { address: rightmostUntrusted(peer.address, hops, trusted), secure: secureBy(scheme) ?? peer.secure };
}

function rightmostUntrusted(peer: string, hops: readonly string[], trusted: AddressRanges): string {
  let client = peer;
  for (const hop of hops.slice(-MAX_HOPS).toReversed()) {
    const address = readNode(hop);
    // `unknown`, an obfuscated name or garbage: no hop before it can be trusted.
    if (address === null) return client;
    client = address;
    if (!trusted.has(address)) return client;
  }
  return client;
}

function secureBy(scheme: string | undefined): boolean | null {
  const lower = scheme?.toLowerCase();
  if (lower === 'https') return true;
  return lower === 'http' ? false : null;
}

const elements = (list: string, separator: string): string[] =>
  list
    .split(separator)
    .map((element) => element.trim())
    .filter((element) => element !== '');

/** The values of one parameter, one per hop; '' for a hop without it. */
function forwardedParameters(forwarded: string | undefined, wanted: string): string[] {
  return elements(forwarded ?? '', ',').map((hop) => {
    const pair = elements(hop, ';').find((pair) => pair.toLowerCase().startsWith(`${wanted}=`));
    return pair?.slice(wanted.length + 1).replace(/^"(.*)"$/, '$1') ?? '';
  });
}

/** An address in either field: `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`. Null: not an address. */
function readNode(node: string): string | null {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(node)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(node)?.[1] ?? node;
  return canonicalAddress(bare);
}
