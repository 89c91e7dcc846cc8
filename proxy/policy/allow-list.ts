/** The client addresses that an environment serves. */
import { BlockList, isIP } from 'node:net';
import type { EdgeSettings } from '../../protocol/edge.ts';
import { ADDRESS_REFUSED, pageAnswer } from '../http/pages.ts';
import type { Check } from './compile.ts';

export interface AddressRanges {
  /** False for text that is not an address. `::ffff:1.2.3.4` counts as 1.2.3.4. */
  has(address: string): boolean;
}

/** @param ranges addresses and networks as validated by protocol/edge.ts: `10.0.0.0/8`, `2001:db8::1` */
export function makeRanges(ranges: readonly string[]): AddressRanges {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/', 2);
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return {
    has: (address) => {
      const family = isIP(address);
      return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
    },
  };
}

/** 403 for clients outside `allowFrom`. @returns null: all clients may come */
export function makeAddressCheck({ allowFrom, errorPages }: EdgeSettings): Check | null {
  if (allowFrom.length === 0) return null;
  const allowed = makeRanges(allowFrom);
  return (asked) =>
    allowed.has(asked.clientAddress) ? null : pageAnswer(ADDRESS_REFUSED, asked.header('accept'), errorPages);
}
