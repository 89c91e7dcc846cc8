/** What counts as one client, where clients are counted: by hub and proxy alike. Pure functions. */
import { isIP, SocketAddress } from 'node:net';

/** An IPv4 address of a dual-stack socket without its IPv6 dress. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** One text per address, so that counts and lists do not see two. Null when it is none. */
export function canonicalAddress(address: string): string | null {
  const family = isIP(address);
  if (family !== 6) return family === 4 ? address : null;
  const [plain = ''] = address.split('%', 1);
  return plainAddress(new SocketAddress({ address: plain, family: 'ipv6' }).address);
}

/**
 * What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which is the least that one subscriber has.
 * @param address as {@link canonicalAddress} has it
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address;
  const [left = '', right] = address.split('::', 2);
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}
