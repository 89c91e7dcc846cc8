/** What the host's network looks like to those who make networks on it. */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import type { HostAddress } from '../../protocol/address-kind.ts';
import { defaultInterfaces } from '../../protocol/service/guest-bridges.ts';
import { type Exec, run } from './exec.ts';

const TIMEOUT_MS = 15_000;

/** Interface of the default IPv4 route; null without one. */
const defaultInterface = async (): Promise<string | null> => (await defaultInterfaces())[0] ?? null;

const AddressList = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.int() })),
  }),
);

/** Every address of the host, of both IP versions, also of interfaces that lead nowhere at the moment. */
export async function hostAddresses(by?: Exec): Promise<readonly HostAddress[]> {
  const { stdout } = await run(
    'ip',
    ['-json', 'addr', 'show'],
    { timeoutMs: TIMEOUT_MS, maxOutputBytes: 4_194_304 },
    by,
  );
  return AddressList.parse(JSON.parse(stdout)).flatMap(({ ifname: name = '', addr_info }) =>
    addr_info.flatMap(({ local, prefixlen: bits }) => (local === undefined ? [] : [{ name, address: local, bits }])),
  );
}

const RouteList = z.array(z.object({ dst: z.string() }));

/**
 * IPv4 addresses and networks (`10.0.0.0/8`) that this host has to do with: its own, its routes of every table, its name
 * servers, and whom it is connected to at this moment, such as its hub or what stands before it.
 */
export async function networksAround(by?: Exec): Promise<readonly string[]> {
  const ask = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await run(program, args, { timeoutMs: TIMEOUT_MS, maxOutputBytes: 16_777_216 }, by)).stdout;
  const [addresses, routes, sockets, nameServers] = await Promise.all([
    hostAddresses(by),
    ask('ip', '-json', '-4', 'route', 'show', 'table', 'all'),
    ask('ss', '-Htn'),
    reachableNameServers(),
  ]);
  return [
    ...addresses.filter(({ address }) => isIPv4(address)).map(({ address, bits }) => `${address}/${bits}`),
    ...RouteList.parse(JSON.parse(routes)).map(({ dst }) => (dst === 'default' ? '0.0.0.0/0' : dst)),
    ...parsePeers(sockets),
    ...nameServers,
  ];
}

/** IPv4 addresses of the last column of `ss -Htn`, also where a socket of IPv6 has them: `[::ffff:10.0.0.7]:443`. */
export function parsePeers(text: string): string[] {
  return [...text.matchAll(/[\s:](\d+(?:\.\d+){3})\]?:\d+\s*$/gm)].map(([, address = '']) => address);
}

/** MTU that fits the way out of the host, bytes. Bridges with a larger one make connections hang where ICMP is lost. */
export async function outgoingMtu(): Promise<number> {
  const name = await defaultInterface();
  if (name === null) return 1500;
  return Number((await readFile(`/sys/class/net/${name}/mtu`, 'utf8')).trim());
}

/**
 * IPv4 name servers that can be asked from another network namespace. A loopback one (systemd-resolved, dnsmasq) can
 * not, so then those behind it are given where systemd tells them. Empty: none is known.
 */
export async function reachableNameServers(): Promise<readonly string[]> {
  for (const path of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const text = await readFile(path, 'utf8').catch(() => ''); // not every host has either
    const servers = parseNameServers(text).filter((server) => !server.startsWith('127.'));
    if (servers.length > 0) return servers;
  }
  return [];
}

/** IPv4 name servers of /etc/resolv.conf that only this network namespace has. */
export async function loopbackNameServers(): Promise<readonly string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => ''); // not every host has it
  return parseNameServers(text).filter((server) => server.startsWith('127.'));
}

/** IPv4 addresses of the nameserver lines of a resolv.conf(5). */
export function parseNameServers(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    return server !== undefined && isIPv4(server) ? [server] : [];
  });
}
