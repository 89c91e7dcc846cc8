/** Who the client is: the socket's peer, or what proxies that we trust say about it. Pure functions. */
import { canonicalAddress } from '../../protocol/client-network.ts';
import type { AddressRanges } from './allow-list.ts';

/** The far end of a connection, or of the one before it. */
export interface Client {
  /** IPv4 or IPv6 in its canonical text form, without `::ffff:` and zone. */
  readonly address: string;
  readonly secure: boolean;
}

/** Proxies one after the other that are believed. No sane chain is longer. */
const MAX_HOPS = 20;

/**
 * The client of a request. What the peer says counts only when the peer is trusted; what those before it say only while
 * they are trusted too, so the answer is the rightmost address that is not: nobody can prepend a better one.
 * `X-Forwarded-For` goes before `Forwarded` (RFC 7239), which is read only where the former is absent: a load balancer
 * sets the one and passes what clients claim in the other.
 *
 * The app never sees these chains: it gets our own fields with the one address found here (http/headers.ts).
 *
 * @param peer as the socket or the PROXY protocol has it
 * @param trusted null: nobody is
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
  // The rightmost scheme is that of the peer, whom we trust.
  const scheme = schemes.at(-1) ?? forwardedParameters(forwarded, 'proto').at(-1);
  return { address: rightmostUntrusted(peer.address, hops, trusted), secure: secureBy(scheme) ?? peer.secure };
}

function rightmostUntrusted(peer: string, hops: readonly string[], trusted: AddressRanges): string {
  let client = peer;
  for (const hop of hops.slice(-MAX_HOPS).toReversed()) {
    const address = readNode(hop);
    // `unknown`, an obfuscated name, rubbish: nothing before it can be believed.
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

/** The values of one parameter, an entry per hop; a hop without it is an empty one. */
function forwardedParameters(forwarded: string | undefined, wanted: string): string[] {
  return elements(forwarded ?? '', ',').map((hop) => {
    const pair = elements(hop, ';').find((pair) => pair.toLowerCase().startsWith(`${wanted}=`));
    return pair?.slice(wanted.length + 1).replace(/^"(.*)"$/, '$1') ?? '';
  });
}

/** An address as the two fields write it: `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`. Null: none. */
function readNode(node: string): string | null {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(node)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(node)?.[1] ?? node;
  return canonicalAddress(bare);
}
