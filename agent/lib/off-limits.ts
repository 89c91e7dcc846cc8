/**
 * What neither an app nor a build may reach through the host, as rules for forwarded packets. They are in the table
 * `mangle`, which precedes `filter` and which Docker leaves alone: in `filter` it inserts the rules of each new network
 * above ours (measured), and what it accepts there is accepted.
 */
import { BlockList } from 'node:net';
import { METADATA_NETWORKS } from '../../protocol/address-kind.ts';
import { guestBridges, interfaceNames } from '../../protocol/service/guest-bridges.ts';
import { reachableNameServers } from './name-servers.ts';
import type { Chain } from './iptables.ts';

/** Names of bridges that container engines and hypervisors create, to cover those created later. */
const GUEST_PATTERNS = ['ork+', 'ob+', 'docker+', 'br-+', 'podman+', 'cni+', 'lxdbr+', 'virbr+'] as const;

type Rules = Chain['rules'];

/** Drops packets from `match` to a metadata service. A name server among those addresses stays open on port 53. */
export async function metadataRules(match: readonly string[]): Promise<Rules> {
  const networks = new BlockList();
  for (const network of METADATA_NETWORKS) {
    const [address = '', bits] = network.split('/');
    networks.addSubnet(address, Number(bits), 'ipv4');
  }
  const servers = (await reachableNameServers()).filter((server) => networks.check(server, 'ipv4'));
  return [
    ...servers.flatMap((server) =>
      ['udp', 'tcp'].map((kind) => [
        ...match,
        '-d',
        `${server}/32`,
        '-p',
        kind,
        '-m',
        kind,
        '--dport',
        '53',
        '-j',
        'ACCEPT',
      ]),
    ),
    ...METADATA_NETWORKS.map((network) => [...match, '-d', network, '-j', 'DROP']),
  ];
}

/**
 * Drops packets from `match` to containers and virtual machines of this host, by their addresses or published ports.
 */
export async function guestRules(match: readonly string[]): Promise<Rules> {
  const named = (await guestBridges()).filter((name) => !isGuest(name));
  return [
    // A published port of the host is translated to a container's address by DNAT.
    [...match, '-m', 'conntrack', '--ctstate', 'DNAT', '--ctdir', 'ORIGINAL', '-j', 'DROP'],
    ...[...GUEST_PATTERNS, ...named].map((name) => [...match, '-o', name, '-j', 'DROP']),
  ];
}

/** Names of the interfaces that lead to containers and virtual machines of this host. */
export async function guestInterfaces(): Promise<readonly string[]> {
  const bridges = await guestBridges();
  return (await interfaceNames()).filter((name) => bridges.includes(name) || isGuest(name));
}

const isGuest = (name: string): boolean => GUEST_PATTERNS.some((pattern) => name.startsWith(pattern.slice(0, -1)));
