/**
 * Keeps apps on project networks from the host's own ports, from metadata services, and from containers and virtual
 * machines that are not Docker's. Docker's isolation only separates its networks from each other, even with icc=false
 * or --internal (measured).
 */
import { OrkestrError } from '../../protocol/errors.ts';
import { type Chain, hasIpv6, lacksOf, makeChainKeeper, removeChain } from '../lib/iptables.ts';
import { exec, type Exec } from '../lib/exec.ts';
import { serialize } from '../lib/serialize.ts';
import { guestRules, metadataRules } from '../lib/off-limits.ts';

/** Where visitors arrive. */
const EDGE_PORTS = ['80', '443'] as const;
const REPLIES = ['-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'RETURN'] as const;

export interface Firewall {
  /**
   * Installs all rules; cheap and idempotent, also while apps run. Needs neither Docker nor its networks: the rules
   * match our bridges by the prefix of their names, before there are any.
   * @throws OrkestrError ORK_FIREWALL
   */
  ensure(): Promise<void>;
  remove(): Promise<void>;
  /** What is missing, one line each; changes nothing. */
  lacks(): Promise<readonly string[]>;
}

interface FirewallOptions {
  readonly scope: string;
  /** Apps may connect to {@link EDGE_PORTS} of the host, where any visitor may connect. False: to no port. */
  readonly appsReachEdge?: boolean;
  readonly exec?: Exec;
}

/** The rules for one agent's apps. Installing them throws ORK_FIREWALL if the packet filter does not accept them. */
export function makeFirewall({ scope, appsReachEdge = false, exec: by = exec }: FirewallOptions): Firewall {
  const keeper = makeChainKeeper(by);
  // Two concurrent calls would both find a rule missing and both add it.
  const inTurn = serialize();

  return {
    ensure: () =>
      inTurn(async () => {
        try {
          await keeper.ensure(await chainsOf(scope, appsReachEdge));
        } catch (cause) {
          const why = cause instanceof Error ? cause.message : String(cause);
          const message = `The packet filter did not accept the rules that isolate apps: ${why}.`;
          throw new OrkestrError('ORK_FIREWALL', message, { cause });
        }
      }),
    remove: () =>
      inTurn(async () => {
        for (const chain of await chainsOf(scope, appsReachEdge)) await removeChain(chain, by);
      }),
    lacks: async () => lacksOf(await chainsOf(scope, appsReachEdge), by),
  };
}

async function chainsOf(scope: string, appsReachEdge: boolean): Promise<readonly Chain[]> {
  // Bridges of project networks, see bridgeName in docker/networks.ts.
  const bridges = `ork${scope.slice(0, 4)}+`;
  const chain = (version: 4 | 6, name: string, from: string, rules: Chain['rules']): Chain => ({
    version,
    table: 'mangle',
    name,
    rules,
    jump: { from, match: ['-i', bridges] },
  });
  // Replies go back to the host (the proxy dials containers); nothing else gets in, except by the owner's choice. What
  // returns here still passes the host's own firewall, in `filter`.
  const edge = EDGE_PORTS.map((port) => ['-p', 'tcp', '-m', 'tcp', '--dport', port, '-j', 'RETURN']);
  const input = (version: 4 | 6, open: Chain['rules']): Chain =>
    chain(version, `ORKESTR-${scope}`, 'INPUT', [REPLIES, ...open, ['-j', 'DROP']]);
  const forward = chain(4, `ORKESTR-${scope}-FWD`, 'FORWARD', [
    ...(await metadataRules([])),
    // Traffic within a project; between projects, Docker's isolation drops it.
    ['-o', bridges, '-j', 'RETURN'],
    ...(await guestRules([])),
  ]);
  const input4 = input(4, appsReachEdge ? edge : []);
  if (!(await hasIpv6())) return [input4, forward];
  // Project networks have no IPv6, so an app has no use for it.
  return [input4, forward, input(6, []), chain(6, `ORKESTR-${scope}-FWD`, 'FORWARD', [['-j', 'DROP']])];
}
