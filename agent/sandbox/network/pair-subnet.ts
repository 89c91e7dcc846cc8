/**
 * Addresses of the veth pairs that join sandboxes to the host: a /30 each, from the benchmark range (RFC 2544), which no
 * real network uses.
 */
import { isIPv4 } from 'node:net';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Exec } from '../../lib/exec.ts';
import { hostAddresses } from '../../lib/host-network.ts';

/** 198.18.0.0/16 has 2^14 subnets of four addresses. */
const SUBNETS = 16_384;

/**
 * The first subnet without a host interface, from an index derived from the scope, so that agents rarely collide.
 * @throws OrkestrError ORK_SANDBOX when none is left
 */
export async function freeSubnet(scope: string, by: Exec): Promise<string> {
  const taken = new Set(
    (await hostAddresses(by)).filter(({ address }) => isIPv4(address)).map(({ address }) => subnetOf(address)),
  );
  const start = Number.parseInt(scope.slice(0, 6), 16) % SUBNETS;
  for (let offset = 0; offset < SUBNETS; offset += 1) {
    const subnet = subnetAt((start + offset) % SUBNETS);
    if (!taken.has(subnet)) return subnet;
  }
  throw new OrkestrError('ORK_SANDBOX', 'Every subnet of 198.18.0.0/16 is in use on this host.');
}

/** `index` 0…16383 → base address of that /30. */
export function subnetAt(index: number): string {
  const address = index * 4;
  return `198.18.${address >> 8}.${address & 255}`;
}

/** Base address of the /30 of an address. */
export const subnetOf = (address: string): string => shift(address, (last) => last & ~3);

export const hostEnd = (subnet: string): string => shift(subnet, (last) => last + 1);
export const innerEnd = (subnet: string): string => shift(subnet, (last) => last + 2);

function shift(address: string, change: (last: number) => number): string {
  const parts = address.split('.');
  return [...parts.slice(0, 3), String(change(Number(parts[3])))].join('.');
}
