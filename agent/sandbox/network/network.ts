/**
 * The network of a sandbox: its namespace, what it may reach from there, and the name servers that it asks. A second
 * engine in the host's namespace would conflict with the first one's rules.
 */
import { writeFile } from 'node:fs/promises';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Exec } from '../../lib/exec.ts';
import { outgoingMtu } from '../../lib/host-network.ts';
import { makeChainKeeper, removeChain } from '../../lib/iptables.ts';
import { loopbackNameServers, reachableNameServers } from '../../lib/name-servers.ts';
import { makeSandboxNamespace } from './namespace.ts';
import { type Link, chainsOf } from './rules.ts';
import { hostEnd, innerEnd } from './pair-subnet.ts';
import { makeResolver, type NameServers } from './resolver.ts';

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
  const namespace = makeSandboxNamespace(scope, by);
  const keeper = makeChainKeeper(by);
  const resolver = makeResolver(namespace.path, by);

  const connected = async (): Promise<{ subnet: string; mtu: number; nameServers: NameServers }> => {
    const [mtu, nameServers] = await Promise.all([outgoingMtu(), nameServersOf()]);
    return { subnet: await namespace.ensure(mtu), mtu, nameServers };
  };
  const linkIn = (subnet: string): Link => ({ scope, outside: namespace.outside, subnet, address: hostEnd(subnet) });
  const subnetInUse = async (): Promise<string> => {
    const subnet = await namespace.subnet();
    if (subnet === null) throw new OrkestrError('ORK_SANDBOX', 'The network of the build engine is gone.');
    return subnet;
  };

  return {
    namespacePath: namespace.path,
    async connect() {
      const { mtu, nameServers } = await connected();
      return { mtu, nameServers: nameServers.reachable };
    },
    async ensure() {
      const { subnet, mtu, nameServers } = await connected();
      await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
      await keeper.ensure(await chainsOf(linkIn(subnet), null));
      await namespace.routeOut(subnet);
      await resolver.redirect(nameServers);
      return { mtu, nameServers: nameServers.reachable };
    },
    async ends() {
      const subnet = await subnetInUse();
      return { host: hostEnd(subnet), engine: innerEnd(subnet) };
    },
    async restrictTo(port) {
      // The rules enforce the limit; without a route, connection attempts only fail sooner.
      await keeper.ensure(await chainsOf(linkIn(await subnetInUse()), port));
      await namespace.prohibit();
    },
    async remove() {
      const subnet = (await namespace.subnet()) ?? '198.18.0.0';
      for (const chain of await chainsOf(linkIn(subnet), null)) await removeChain(chain, by);
      await namespace.remove();
    },
  };
}

const hostNameServers = async (): Promise<NameServers> => {
  const [loopback, reachable] = await Promise.all([loopbackNameServers(), reachableNameServers()]);
  return { loopback, reachable };
};
