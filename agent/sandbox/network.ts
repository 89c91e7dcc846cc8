/**
 * The sandbox's own network namespace, joined to the host by a veth pair with addresses from the benchmark range (RFC
 * 2544), which no real network uses. A second engine in the host's namespace would conflict with the first one's rules.
 */
import { access, writeFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { OrkestrError } from '../../protocol/errors.ts';
import { type Exec, run } from '../lib/exec.ts';
import { hostAddresses, outgoingMtu } from '../lib/host-network.ts';
import { makeChainKeeper, removeChain } from '../lib/iptables.ts';
import { loopbackNameServers, reachableNameServers } from '../lib/name-servers.ts';
import { type Link, chainsOf } from './network-rules.ts';
import { makeResolver, type NameServers } from './resolver.ts';

const TIMEOUT_MS = 15_000;
/** 198.18.0.0/16 has 2^14 subnets of four addresses. */
const SUBNETS = 16_384;
/** Bridge of the sandbox's engine, visible only inside its namespace. */
export const SANDBOX_BRIDGE = '198.19.255.1/24';
/**
 * For iptables-restore inside the namespace: masquerades the bridge's traffic as the namespace's own address. The
 * engine would set this along with many rules that a single bridge does not need, one program run per rule (daemon.ts).
 */
const TRANSLATION = ['*nat', `-A POSTROUTING -s ${SANDBOX_BRIDGE} -o eth0 -j MASQUERADE`, 'COMMIT', ''].join('\n');

/** Settings for the engine inside. */
interface Surroundings {
  readonly mtu: number;
  readonly nameServers: readonly string[];
}

export interface SandboxNetwork {
  readonly namespacePath: string;
  /** Creates what an engine needs to start: namespace and veth pair, if absent. A new one has no default route. */
  connect(): Promise<Surroundings>;
  /** Creates what is absent and sets the firewall rules anew, open to the internet. */
  ensure(): Promise<Surroundings>;
  /** The pair's two addresses. @throws OrkestrError ORK_SANDBOX before `ensure` */
  ends(): Promise<{ readonly host: string; readonly engine: string }>;
  /** Until the next `ensure`, the namespace can reach only TCP `port` on the host's end, and no DNS server. */
  restrictTo(port: number): Promise<void>;
  /** Removes everything. Does nothing if there is nothing. */
  remove(): Promise<void>;
}

/** @param nameServersOf returns the host's name servers */
export function makeSandboxNetwork(
  scope: string,
  by: Exec,
  nameServersOf: () => Promise<NameServers> = hostNameServers,
): SandboxNetwork {
  const namespace = `orkb-${scope}`;
  const outside = `ob${scope}`;
  const keeper = makeChainKeeper(by);
  const resolver = makeResolver(`/run/netns/${namespace}`, by);
  /** The subnet through which the default route is known to lead. */
  let openTo: string | null = null;
  const ip = (...args: string[]): Promise<{ stdout: string }> => run('ip', args, { timeoutMs: TIMEOUT_MS }, by);
  /** Runs commands in one process until the first fails (ip(8), -batch). @param place options before the commands */
  const batch = (place: readonly string[], commands: readonly string[]): Promise<unknown> =>
    run('ip', [...place, '-batch', '-'], { timeoutMs: TIMEOUT_MS, input: `${commands.join('\n')}\n` }, by);
  const inside = (...args: string[]): Promise<unknown> => ip('-n', namespace, ...args);

  /** Base address of the veth pair's subnet; null if there is no pair. */
  const currentSubnet = async (): Promise<string | null> => {
    // Called for each build: Node.js lists the interfaces that are up, without running a program.
    const known = networkInterfaces()[outside]?.find(({ family }) => family === 'IPv4')?.address;
    const address =
      known ?? (await hostAddresses(by)).find(({ name, address }) => name === outside && isIPv4(address))?.address;
    return address === undefined ? null : subnetOf(address);
  };

  const makePair = async (mtu: number): Promise<string> => {
    const subnet = await freeSubnet(scope, by);
    await ip('netns', 'add', namespace);
    await ip(...`link add ${outside} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${namespace}`.split(' '));
    await batch(
      ['-n', namespace],
      ['link set lo up', `addr add ${addressIn(subnet, 2)}/30 dev eth0`, 'link set eth0 up'],
    );
    const restore = [`--net=/run/netns/${namespace}`, '--', 'iptables-restore', '--wait', '--noflush'];
    await run('nsenter', restore, { timeoutMs: TIMEOUT_MS, input: TRANSLATION }, by);
    // The host's address comes last: a pair that has it is complete, even if the agent was killed meanwhile.
    await batch([], [`link set ${outside} up`, `addr add ${addressIn(subnet, 1)}/30 dev ${outside}`]);
    return subnet;
  };

  const removeLinks = async (): Promise<void> => {
    openTo = null;
    // Deleting the namespace deletes the pair; an outer end alone is left by an incomplete setup.
    if (await exists(`/run/netns/${namespace}`)) await ip('netns', 'delete', namespace);
    if (await exists(`/sys/class/net/${outside}`))
      await by('ip', ['link', 'delete', outside], { timeoutMs: TIMEOUT_MS });
  };

  /** Routes the namespace's traffic to the host. Only this code changes the route, so it is set only on a change. */
  const openWayOut = async (subnet: string): Promise<void> => {
    if (openTo === subnet) return;
    await inside('route', 'replace', 'default', 'via', addressIn(subnet, 1));
    openTo = subnet;
  };

  const connected = async (): Promise<{ subnet: string; mtu: number; nameServers: NameServers }> => {
    const [mtu, nameServers] = await Promise.all([outgoingMtu(), nameServersOf()]);
    const existing = (await exists(`/run/netns/${namespace}`)) ? await currentSubnet() : null;
    if (existing === null) await removeLinks();
    return { subnet: existing ?? (await makePair(mtu)), mtu, nameServers };
  };

  const linkIn = (subnet: string): Link => ({ scope, outside, subnet, address: addressIn(subnet, 1) });
  const subnetInUse = async (): Promise<string> => {
    const subnet = await currentSubnet();
    if (subnet === null) throw new OrkestrError('ORK_SANDBOX', 'The network of the build engine is gone.');
    return subnet;
  };

  return {
    namespacePath: `/run/netns/${namespace}`,
    async connect() {
      const { mtu, nameServers } = await connected();
      return { mtu, nameServers: nameServers.reachable };
    },
    async ensure() {
      const { subnet, mtu, nameServers } = await connected();
      await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
      await keeper.ensure(await chainsOf(linkIn(subnet), null));
      await openWayOut(subnet);
      await resolver.redirect(nameServers);
      return { mtu, nameServers: nameServers.reachable };
    },
    async ends() {
      const subnet = await subnetInUse();
      return { host: addressIn(subnet, 1), engine: addressIn(subnet, 2) };
    },
    async restrictTo(port) {
      await keeper.ensure(await chainsOf(linkIn(await subnetInUse()), port));
      openTo = null;
      // The rules enforce the limit. Without a route, connection attempts fail at once instead of timing out.
      await inside('route', 'replace', 'prohibit', 'default');
    },
    async remove() {
      const subnet = (await currentSubnet()) ?? '198.18.0.0';
      for (const chain of await chainsOf(linkIn(subnet), null)) await removeChain(chain, by);
      await removeLinks();
    },
  };
}

const hostNameServers = async (): Promise<NameServers> => {
  const [loopback, reachable] = await Promise.all([loopbackNameServers(), reachableNameServers()]);
  return { loopback, reachable };
};

/** The first subnet without a host interface, from an index derived from the scope, so that agents rarely collide. */
async function freeSubnet(scope: string, by: Exec): Promise<string> {
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
