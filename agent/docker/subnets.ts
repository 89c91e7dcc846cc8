/** Finds subnets that are free on the host for another bridge network. */

/**
 * As many addresses as a bridge of the kernel has ports (BR_MAX_PORTS), so no project's network runs out of them first.
 */
const SUBNET_BITS = 22;
/**
 * From RFC 1918, since frameworks trust a proxy with such an address by default. First the range around Docker's own
 * pools, whose addresses do no harm at a site where Docker has used up all of them; then a part of 10.0.0.0/8 where no
 * cloud, VPN or Kubernetes begins by default.
 */
const RANGES = ['172.16.0.0/12', '10.64.0.0/12'];
/** A site's network is usually no wider, and often only a part of it is directly behind an interface. */
const SITE_BITS = 16;
/** Wider routes lead out: 0.0.0.0/0, or its halves, as some VPNs set them. */
const LEAST_BITS = 8;

interface Block {
  readonly first: number;
  readonly last: number;
}

/**
 * In the order in which to try them.
 * @param networks IPv4 subnets of Docker's networks
 * @param around IPv4 addresses and networks that the host uses: nothing in the same /16 counts as free
 */
export function freeSubnets(networks: readonly string[], around: readonly string[]): string[] {
  const dockers = networks.map((network) => blockOf(network));
  const isDockers = (one: Block): boolean => dockers.some(({ first, last }) => first <= one.first && one.last <= last);
  const sites = [...new Set(around)]
    .filter((network) => bitsOf(network) >= LEAST_BITS && !isDockers(blockOf(network)))
    .map((network) => blockOf(network, SITE_BITS));
  const taken = [...dockers, ...sites];
  const isFree = (one: Block): boolean => !taken.some(({ first, last }) => first <= one.last && one.first <= last);
  return RANGES.flatMap(subnetsOf).filter((subnet) => isFree(blockOf(subnet)));
}

function subnetsOf(range: string): string[] {
  const { first } = blockOf(range);
  return Array.from({ length: 2 ** (SUBNET_BITS - bitsOf(range)) }, (_, index) => {
    const start = first + index * 2 ** (32 - SUBNET_BITS);
    return `${[24, 16, 8, 0].map((shift) => (start >>> shift) & 255).join('.')}/${SUBNET_BITS}`;
  });
}

/** @param atMostBits widens the block to this prefix length */
function blockOf(network: string, atMostBits = 32): Block {
  const [address = ''] = network.split('/');
  const number = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const size = 2 ** (32 - Math.min(bitsOf(network), atMostBits));
  const first = number - (number % size);
  return { first, last: first + size - 1 };
}

const bitsOf = (network: string): number => Number(network.split('/')[1] ?? 32);
