/**
 * Names for the engine itself. It reads the host's /etc/resolv.conf, and on many hosts (systemd-resolved, dnsmasq) that
 * names a server on loopback, which is another one in its namespace: there, questions to it go to the servers behind it.
 */
import type { Exec } from '../lib/exec.ts';
import { run } from '../lib/exec.ts';
import { type Chain, makeChainKeeper } from '../lib/iptables.ts';

const TIMEOUT_MS = 15_000;
const DNS_PORT = '53';

export interface NameServers {
  /** IPv4 addresses of /etc/resolv.conf that are loopback ones. */
  readonly loopback: readonly string[];
  /** Those that can be asked from another namespace. */
  readonly reachable: readonly string[];
}

interface Resolver {
  /** Leads questions inside of the namespace to a server that is to be had. Nothing to do is fine. */
  redirect(servers: NameServers): Promise<void>;
}

export function makeResolver(namespacePath: string, by: Exec): Resolver {
  const inside: Exec = (program, args, options) =>
    by('nsenter', [`--net=${namespacePath}`, '--', program, ...args], options);
  const keeper = makeChainKeeper(inside);
  return {
    async redirect({ reachable: [server], loopback }) {
      if (server === undefined || loopback.length === 0) return;
      // Packets with a loopback sender leave an interface only where that is allowed (kernel: networking/ip-sysctl.rst).
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
