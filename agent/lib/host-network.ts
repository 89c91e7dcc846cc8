/** Facts about the host's network for code that creates networks on it. */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import type { HostAddress } from '../../protocol/address-kind.ts';
import { defaultInterfaces } from '../../protocol/service/guest-bridges.ts';
import { type Exec, run } from './exec.ts';
import { reachableNameServers } from './name-servers.ts';

const TIMEOUT_MS = 15_000;

/** Interface of the default IPv4 route; null without one. */
const defaultInterface = async (): Promise<string | null> => (await defaultInterfaces())[0] ?? null;

const AddressList = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.int() })),
  }),
);

/** Every address of the host, IPv4 and IPv6, including those of interfaces that are down. */
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
 * IPv4 addresses and networks (`10.0.0.0/8`) that this host uses: its own, the routes of every table, its name servers,
 * and its current peers, such as its hub or what stands before it.
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

/** IPv4 addresses in the last column of `ss -Htn`, including mapped ones of IPv6 sockets: `[::ffff:10.0.0.7]:443`. */
export function parsePeers(text: string): string[] {
  return [...text.matchAll(/[\s:](\d+(?:\.\d+){3})\]?:\d+\s*$/gm)].map(([, address = '']) => address);
}

/** MTU of the host's outgoing interface, bytes. Bridges with a larger one make connections hang where ICMP is lost. */
export async function outgoingMtu(): Promise<number> {
  const name = await defaultInterface();
  if (name === null) return 1500;
  return Number((await readFile(`/sys/class/net/${name}/mtu`, 'utf8')).trim());
}
