/** Packet filter rules for a sandbox's veth pair: what a build may reach, and what may reach it. */
import { type Chain, hasIpv6 } from '../../lib/iptables.ts';
import { guestRules, metadataRules } from '../../lib/off-limits.ts';

export interface Link {
  /** The sandbox's scope, part of the chain names. */
  readonly scope: string;
  /** Interface name of the pair's end on the host. */
  readonly outside: string;
  /** Address of that end. */
  readonly address: string;
  /** Base address of the pair's /30. */
  readonly subnet: string;
}

/** @param port the only thing a build may reach: a TCP port on the pair's host end. Null: the internet. */
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
    // In mangle, so that no rule accepts first; in filter, so that a host that drops forwarded packets accepts these.
    ...(['mangle', 'filter'] as const).flatMap((table) => [
      chain(4, table, 'BIN', 'INPUT', input),
      chain(4, table, 'BFWD', 'FORWARD', forward),
    ]),
    chain(4, 'nat', 'BNAT', 'POSTROUTING', [['-s', `${subnet}/30`, '!', '-o', outside, '-j', 'MASQUERADE']]),
    // The namespace has only link-local IPv6 addresses.
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

/** Allows the internet and the networks that the host can reach, but not the host's metadata service or guests. */
async function internetRules({ outside, subnet }: Link): Promise<Chain['rules']> {
  const from = ['-i', outside];
  return [
    // A RUN step can send raw packets (CAP_NET_RAW). With a forged source, or outside any connection, they would leave
    // without address translation.
    [...from, '!', '-s', `${subnet}/30`, '-j', 'DROP'],
    [...from, '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP'],
    ...(await metadataRules(from)),
    ...(await guestRules(from)),
    [...from, '-j', 'ACCEPT'],
  ];
}
