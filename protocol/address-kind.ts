/** Which addresses a build or a team may have us connect to. Judged by address: a name does not say where it leads. */
import { BlockList, isIP } from 'node:net';

/**
 * Link-local addresses (RFC 3927), where most clouds have their metadata service, and the addresses outside that range
 * where Alibaba Cloud, Oracle Cloud and Azure have theirs.
 */
export const METADATA_NETWORKS = [
  '169.254.0.0/16',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
] as const;

export interface HostAddress {
  /** The interface that has the address. */
  readonly name: string;
  readonly address: string;
  /** Prefix length of the network directly attached to the interface. */
  readonly bits: number;
}

/** `never`: the host itself, its guests, metadata services, and what is not the address of a single machine. */
export type Kind = 'public' | 'private' | 'never';

/** IANA special-purpose addresses (RFC 6890) that are not other people's machines or lead back to this one. */
const NEVER = [
  ...METADATA_NETWORKS,
  '0.0.0.0/8',
  '127.0.0.0/8',
  '198.18.0.0/15', // the sandboxes' own networks
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96', // unspecified, loopback, and IPv4-compatible addresses, which are obsolete
  '64:ff9b:1::/48', // RFC 8215: translated for one network only
  '2001::/32', // Teredo and 6to4 embed an IPv4 address
  '2002::/16',
  'fd00:ec2::254/128', // metadata service of AWS
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];
/** RFC 1918, RFC 6598, RFC 6890, RFC 4193. */
const PRIVATE = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.0.0.0/24', '192.168.0.0/16', 'fc00::/7'];
/** RFC 6052: the last four bytes are the IPv4 address to judge. */
const NAT64 = '64:ff9b::/96';

/**
 * Makes a judge for this host as it is now.
 * @param own addresses of the host
 * @param guests names of the interfaces that lead to containers and virtual machines
 */
export function makeJudge(own: readonly HostAddress[], guests: readonly string[]): (address: string) => Kind {
  const never = blockListOf(NEVER);
  const reserved = blockListOf(PRIVATE);
  const translated = blockListOf([NAT64]);
  for (const { name, address, bits } of own) {
    const alone = isIP(address) === 4 ? 32 : 128;
    addTo(never, `${address}/${guests.includes(name) ? bits : alone}`);
  }
  const judge = (address: string): Kind => {
    const version = isIP(address);
    // Only link-local addresses have a zone (fe80::1%eth0).
    if (version === 0 || address.includes('%')) return 'never';
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (version === 6 && translated.check(address, family)) return judge(lastFourBytes(address));
    if (never.check(address, family)) return 'never';
    return reserved.check(address, family) ? 'private' : 'public';
  };
  return judge;
}

export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) addTo(list, network);
  return list;
}

/** Whether an address, which must be valid, is in any network of the list. */
export const contains = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');

function addTo(list: BlockList, network: string): void {
  const [address = '', bits] = network.split('/');
  list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** The IPv4 address at the end of an IPv6 address, in any notation. */
function lastFourBytes(address: string): string {
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (dotted !== undefined) return dotted;
  const [high = '0', low = '0'] = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':').slice(-2);
  const number = Number.parseInt(high || '0', 16) * 65_536 + Number.parseInt(low || '0', 16);
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}
