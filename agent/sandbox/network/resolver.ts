/**
 * Name resolution for the engine itself. It reads the host's /etc/resolv.conf, which on many hosts (systemd-resolved,
 * dnsmasq) names a server on loopback. The namespace has its own loopback, so queries go on to the upstream servers.
 */
import type { Exec } from '../../lib/exec.ts';
import { run } from '../../lib/exec.ts';
import { type Chain, makeChainKeeper } from '../../lib/iptables.ts';

const TIMEOUT_MS = 15_000;
const DNS_PORT = '53';

export interface NameServers {
  /** Loopback IPv4 addresses in /etc/resolv.conf. */
  readonly loopback: readonly string[];
  /** Servers reachable from another namespace. */
  readonly reachable: readonly string[];
}

interface Resolver {
  /** Redirects queries inside the namespace to a reachable server. Does nothing if none is needed. */
  redirect(servers: NameServers): Promise<void>;
}

export function makeResolver(namespacePath: string, by: Exec): Resolver {
  const inside: Exec = (program, args, options) =>
    by('nsenter', [`--net=${namespacePath}`, '--', program, ...args], options);
  const keeper = makeChainKeeper(inside);
  return {
    async redirect({ reachable: [server], loopback }) {
      if (server === undefined || loopback.length === 0) return;
      // By default the kernel drops loopback-sourced packets that leave an interface (kernel:
      // networking/ip-sysctl.rst).
      await run('tee', ['/proc/sys/net/ipv4/conf/all/route_localnet'], { timeoutMs: TIMEOUT_MS, input: '1' }, inside);
      await keeper.ensure(chainsFor(loopback, server));
    },
  };
}

function chainsFor(loopback: readonly string[], server: string): readonly Chain[] {
  const chain = (name: string, from: string, rules: Chain['rules']): Chain => ({
    version: 4,
    table: 'nat',
    name,
    rules,
    jump: { from, match: [] },
  });
  const questions = (...rest: string[]): string[][] =>
    ['udp', 'tcp'].map((kind) => ['-p', kind, '--dport', DNS_PORT, ...rest]);
  return [
    chain(
      'ORKESTR-DNS',
      'OUTPUT',
      loopback.flatMap((own) => questions('-d', own, '-j', 'DNAT', '--to-destination', server)),
    ),
    chain('ORKESTR-DNS-FROM', 'POSTROUTING', questions('-s', '127.0.0.0/8', '-d', server, '-j', 'MASQUERADE')),
  ];
}
