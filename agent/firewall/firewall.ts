/**
 * Keeps apps on project networks from the host's own ports and from link-local addresses (the cloud's metadata service).
 * Docker's isolation keeps project networks apart but leaves both open, even with icc=false or --internal (measured).
 */
import { type Chain, ensureChain, ensureSystemChain, hasIpv6, lacksOf, removeChain } from '../lib/iptables.ts';
import { exec, type Exec } from '../lib/exec.ts';
import { reachableNameServers } from '../lib/host-network.ts';

const LINK_LOCAL = '169.254.0.0/16';
const REPLIES = ['-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT'] as const;

export interface Firewall {
  /** Brings all rules in place; cheap and safe to repeat, also while apps run. */
  ensure(): Promise<void>;
  remove(): Promise<void>;
  /** What is not in place, one line each; changes nothing. */
  lacks(): Promise<readonly string[]>;
}

export interface FirewallOptions {
  readonly scope: string;
  readonly exec?: Exec;
}

export function makeFirewall({ scope, exec: by = exec }: FirewallOptions): Firewall {
  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other: of two that look for a rule at once, both would add it. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined); // its own caller hears of it
    return result;
  };

  return {
    ensure: () =>
      inTurn(async () => {
        const chains = await chainsOf(scope);
        await ensureSystemChain(4, 'DOCKER-USER', by);
        for (const chain of chains) await ensureChain(chain, by);
      }),
    remove: () =>
      inTurn(async () => {
        for (const chain of await chainsOf(scope)) await removeChain(chain, by);
      }),
    lacks: async () => lacksOf(await chainsOf(scope), by),
  };
}

async function chainsOf(scope: string): Promise<readonly Chain[]> {
  // Bridges of project networks, see bridgeName in docker/networks.ts.
  const from = ['-i', `ork${scope.slice(0, 4)}+`];
  const input = (version: 4 | 6): Chain => ({
    version,
    table: 'filter',
    name: `ORKESTR-${scope}`,
    // Replies go back to the host (the proxy dials containers); nothing else comes in.
    rules: [REPLIES, ['-j', 'DROP']],
    jump: { from: 'INPUT', match: from },
  });
  const forward: Chain = {
    version: 4,
    table: 'filter',
    name: `ORKESTR-${scope}-FWD`,
    rules: [...(await linkLocalNameServers()), ['-d', LINK_LOCAL, '-j', 'DROP']],
    jump: { from: 'DOCKER-USER', match: from },
  };
  if (!(await hasIpv6())) return [input(4), forward];
  // Project networks have no IPv6, so whatever an app sends over it goes nowhere.
  const forward6: Chain = {
    version: 6,
    table: 'filter',
    name: `ORKESTR-${scope}-FWD`,
    rules: [['-j', 'DROP']],
    jump: { from: 'FORWARD', match: from },
  };
  return [input(4), forward, input(6), forward6];
}

/** Some clouds have their DNS on a link-local address: port 53 of it stays open, or apps could resolve nothing. */
async function linkLocalNameServers(): Promise<readonly (readonly string[])[]> {
  const servers = (await reachableNameServers()).filter((server) => server.startsWith('169.254.'));
  return servers.flatMap((server) =>
    ['udp', 'tcp'].map((protocol) => ['-d', server, '-p', protocol, '--dport', '53', '-j', 'RETURN']),
  );
}
