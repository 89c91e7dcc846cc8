/** What hub and proxy count as one client. Pure functions. */
import { isIP, SocketAddress } from 'node:net';

/** Strips the `::ffff:` that dual-stack sockets put in front of IPv4 addresses. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** One text form per address, so that counts and lists do not see two. Null when it is not an address. */
export function canonicalAddress(address: string): string | null {
  const family = isIP(address);
  if (family !== 6) return family === 4 ? address : null;
  const [plain = ''] = address.split('%', 1);
  return plainAddress(new SocketAddress({ address: plain, family: 'ipv6' }).address);
}

/**
 * The unit counted as one client: an IPv4 address, or the /64 of an IPv6 address, the smallest network of a subscriber.
 * @param address as {@link canonicalAddress} returns it
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address;
  const [left = '', right] = address.split('::', 2);
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}
