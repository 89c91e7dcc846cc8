/** The packet filter's rules for a sandbox's veth pair: what a build may reach, and what may reach it. */
import { type Chain, hasIpv6 } from '../lib/iptables.ts';
import { guestRules, metadataRules } from '../lib/off-limits.ts';

export interface Link {
  /** Part of the chains' names: the sandbox's scope. */
  readonly scope: string;
  /** Name of the pair's end on the host. */
  readonly outside: string;
  /** Address of that end. */
  readonly address: string;
  /** Base address of the pair's /30. */
  readonly subnet: string;
}

/** `port`: the only thing that a build may reach, a TCP port of the pair's end on the host. Null: the internet. */
export async function chainsOf(link: Link, port: number | null): Promise<readonly Chain[]> {
  const chain = (
    version: 4 | 6,
    table: Chain['table'],
    suffix: string,
    from: string,
    rules: Chain['rules'],
  ): Chain => ({
    version,
    table,
    name: `ORKESTR-${link.scope}-${suffix}`,
    rules,
    jump: { from, match: [] },
  });
  const { outside, subnet } = link;
  const to = ['-o', outside];
  const from = ['-i', outside];
  const nothing = [[...from, '-j', 'DROP']];
  const input = [...(port === null ? [] : [proxyRule(link, port)]), ...nothing];
  const forward = [
    [...to, '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT'],
    [...to, '-j', 'DROP'],
    ...(port === null ? await internetRules(link) : nothing),
  ];
  return [
    // In mangle, so that nothing is let through before; in filter, so that a host that forwards nothing else lets it through.
    ...(['mangle', 'filter'] as const).flatMap((table) => [
      chain(4, table, 'BIN', 'INPUT', input),
      chain(4, table, 'BFWD', 'FORWARD', forward),
    ]),
    chain(4, 'nat', 'BNAT', 'POSTROUTING', [['-s', `${subnet}/30`, '!', '-o', outside, '-j', 'MASQUERADE']]),
    // The namespace has no IPv6 but link-local addresses.
    ...((await hasIpv6())
      ? [
          chain(6, 'mangle', 'BIN', 'INPUT', nothing),
          chain(6, 'mangle', 'BFWD', 'FORWARD', [[...to, '-j', 'DROP'], ...nothing]),
        ]
      : []),
  ];
}

const proxyRule = ({ outside, address }: Link, port: number): string[] =>
  `-i ${outside} -d ${address} -p tcp --dport ${port} -j ACCEPT`.split(' ');

/** The internet and the host's own networks, as the host reaches them; not its metadata service, not its guests. */
async function internetRules({ outside, subnet }: Link): Promise<Chain['rules']> {
  const from = ['-i', outside];
  return [
    // A RUN step may write packets itself (CAP_NET_RAW). With a false sender, or outside of any connection, they would
    // leave without translation.
    [...from, '!', '-s', `${subnet}/30`, '-j', 'DROP'],
    [...from, '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP'],
    ...(await metadataRules(from)),
    ...(await guestRules(from)),
    [...from, '-j', 'ACCEPT'],
  ];
}
