/**
 * The sandbox's own network namespace, joined to the host by a veth pair with addresses from the benchmark range
 * (RFC 2544), which no real network uses. A second engine in the host's namespace would fight with the first one's rules.
 */
import { access, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { type Exec, run } from '../lib/exec.ts';
import { outgoingMtu, reachableNameServers } from '../lib/host-network.ts';
import { type Chain, ensureChain, hasIpv6, removeChain } from '../lib/iptables.ts';

const TIMEOUT_MS = 15_000;
/** 198.18.0.0/16 has 2^14 subnets of four addresses. */
const SUBNETS = 16_384;
/** Bridge of the sandbox's engine: only seen inside its namespace. */
export const SANDBOX_BRIDGE = '198.19.255.1/24';
const LINK_LOCAL = '169.254.0.0/16';
/** Bridges that Docker and agents make: other people's containers. */
const CONTAINER_BRIDGES = ['ork+', 'ob+', 'docker+', 'br-+'] as const;

export interface SandboxNetwork {
  readonly namespacePath: string;
  /** Makes what is absent and sets the firewall rules anew. Answers what the engine inside must know. */
  ensure(): Promise<{ readonly mtu: number; readonly nameServers: readonly string[] }>;
  /** Takes everything away. Nothing to do is fine. */
  remove(): Promise<void>;
}

export function makeSandboxNetwork(scope: string, by: Exec): SandboxNetwork {
  const namespace = `orkb-${scope}`;
  const outside = `ob${scope}`;
  const ip = (...args: string[]): Promise<{ stdout: string }> => run('ip', args, { timeoutMs: TIMEOUT_MS }, by);
  const inside = (...args: string[]): Promise<unknown> => ip('-n', namespace, ...args);

  /** Base address of the subnet that the veth has; null when it is not there. */
  const currentSubnet = async (): Promise<string | null> => {
    const address = (await addresses(ip)).find(({ name }) => name === outside)?.address;
    return address === undefined ? null : subnetOf(address);
  };

  const connect = async (mtu: number): Promise<string> => {
    const subnet = await freeSubnet(scope, ip);
    const peer = `${outside}n`;
    await ip('netns', 'add', namespace);
    await ip('link', 'add', outside, 'mtu', String(mtu), 'type', 'veth', 'peer', 'name', peer, 'mtu', String(mtu));
    await ip('link', 'set', peer, 'netns', namespace, 'name', 'eth0');
    await ip('addr', 'add', `${addressIn(subnet, 1)}/30`, 'dev', outside);
    await ip('link', 'set', outside, 'up');
    await inside('link', 'set', 'lo', 'up');
    await inside('addr', 'add', `${addressIn(subnet, 2)}/30`, 'dev', 'eth0');
    await inside('link', 'set', 'eth0', 'up');
    await inside('route', 'add', 'default', 'via', addressIn(subnet, 1));
    return subnet;
  };

  const removeLinks = async (): Promise<void> => {
    // Deleting the namespace takes the pair with it; the outer end alone is what a half-made network leaves.
    if (await exists(`/run/netns/${namespace}`)) await ip('netns', 'delete', namespace);
    if (await exists(`/sys/class/net/${outside}`))
      await by('ip', ['link', 'delete', outside], { timeoutMs: TIMEOUT_MS });
  };

  return {
    namespacePath: `/run/netns/${namespace}`,
    async ensure() {
      const [mtu, nameServers] = await Promise.all([outgoingMtu(), reachableNameServers()]);
      const existing = (await exists(`/run/netns/${namespace}`)) ? await currentSubnet() : null;
      if (existing === null) await removeLinks();
      const subnet = existing ?? (await connect(mtu));
      await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
      for (const chain of await chainsOf(scope, outside, subnet, nameServers)) await ensureChain(chain, by);
      return { mtu, nameServers };
    },
    async remove() {
      const subnet = (await currentSubnet()) ?? '198.18.0.0';
      for (const chain of await chainsOf(scope, outside, subnet, [])) await removeChain(chain, by);
      await removeLinks();
    },
  };
}

/** What a build may reach: the internet. Not the host, not link-local addresses, not anybody's containers. */
async function chainsOf(
  scope: string,
  outside: string,
  subnet: string,
  nameServers: readonly string[],
): Promise<readonly Chain[]> {
  const filter = (version: 4 | 6, suffix: string, from: string, rules: Chain['rules']): Chain => ({
    version,
    table: 'filter',
    name: `ORKESTR-${scope}-${suffix}`,
    rules,
    jump: { from, match: [] },
  });
  const replies = ['-o', outside, '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT'];
  const dns = nameServers.filter((server) => server.startsWith('169.254.'));
  const forward = [
    replies,
    ['-o', outside, '-j', 'DROP'],
    ...dns.flatMap((server) =>
      ['udp', 'tcp'].map((kind) => ['-i', outside, '-d', server, '-p', kind, '--dport', '53', '-j', 'ACCEPT']),
    ),
    ['-i', outside, '-d', LINK_LOCAL, '-j', 'DROP'],
    ...CONTAINER_BRIDGES.map((bridge) => ['-i', outside, '-o', bridge, '-j', 'DROP']),
    ['-i', outside, '-j', 'ACCEPT'],
  ];
  const chains: Chain[] = [
    filter(4, 'BIN', 'INPUT', [['-i', outside, '-j', 'DROP']]),
    filter(4, 'BFWD', 'FORWARD', forward),
    {
      version: 4,
      table: 'nat',
      name: `ORKESTR-${scope}-BNAT`,
      rules: [['-s', `${subnet}/30`, '!', '-o', outside, '-j', 'MASQUERADE']],
      jump: { from: 'POSTROUTING', match: [] },
    },
  ];
  if (await hasIpv6()) {
    const nothing = [['-i', outside, '-j', 'DROP']];
    chains.push(filter(6, 'BIN', 'INPUT', nothing), filter(6, 'BFWD', 'FORWARD', nothing));
  }
  return chains;
}

type Ip = (...args: string[]) => Promise<{ stdout: string }>;

const AddressList = z.array(
  z.object({ ifname: z.string().optional(), addr_info: z.array(z.object({ local: z.string().optional() })) }),
);

async function addresses(ip: Ip): Promise<{ name: string; address: string }[]> {
  const list = AddressList.parse(JSON.parse((await ip('-json', '-4', 'addr', 'show')).stdout));
  return list.flatMap(({ ifname = '', addr_info }) =>
    addr_info.flatMap(({ local }) => (local === undefined ? [] : [{ name: ifname, address: local }])),
  );
}

/** First subnet that no interface of the host is in, beginning where the scope points: two agents rarely meet. */
async function freeSubnet(scope: string, ip: Ip): Promise<string> {
  const taken = new Set((await addresses(ip)).map(({ address }) => subnetOf(address)));
  const start = Number.parseInt(scope.slice(0, 6), 16) % SUBNETS;
  for (let offset = 0; offset < SUBNETS; offset += 1) {
    const subnet = subnetAt((start + offset) % SUBNETS);
    if (!taken.has(subnet)) return subnet;
  }
  throw new OrkestrError('ORK_SANDBOX', 'Every subnet of 198.18.0.0/16 is in use on this host.');
}

/** `index` 0…16383 → base address of its /30. */
export function subnetAt(index: number): string {
  const address = index * 4;
  return `198.18.${address >> 8}.${address & 255}`;
}

const subnetOf = (address: string): string => shift(address, (last) => last & ~3);
const addressIn = (subnet: string, number: number): string => shift(subnet, (last) => last + number);

function shift(address: string, change: (last: number) => number): string {
  const parts = address.split('.');
  return [...parts.slice(0, 3), String(change(Number(parts[3])))].join('.');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
