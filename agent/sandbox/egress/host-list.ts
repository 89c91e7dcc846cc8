/** The hosts that a build may access: its environment's list, described in protocol/build-hosts.ts. */
import { BlockList, isIP, isIPv4 } from 'node:net';

const DEFAULT_PORTS = [80, 443];

export interface HostList {
  /** Whether a build may connect to `host`, a lower-case name without a trailing dot or an address, on `port`. */
  admits(host: string, port: number): boolean;
  /** Whether the list names this address or a network that contains it, which permits a private address. */
  hasAddress(address: string): boolean;
}

/** @param entries validated by the schema `BuildHosts` */
export function makeHostList(entries: readonly string[]): HostList {
  const rules = entries.map(readEntry);
  return {
    hasAddress: (address) => rules.some(({ covers, isAddress }) => isAddress && covers(address)),
    admits: (host, port) => rules.some(({ ports, covers }) => ports.includes(port) && covers(host)),
  };
}

interface Rule {
  readonly isAddress: boolean;
  readonly ports: readonly number[];
  readonly covers: (host: string) => boolean;
}

function readEntry(entry: string): Rule {
  const [, wildcard, host = '', bits = '32', port] = /^(\*\.)?([^/:]+)(?:\/(\d+))?(?::(\d+))?$/.exec(entry) ?? [];
  const ports = port === undefined ? DEFAULT_PORTS : [Number(port)];
  if (!isIPv4(host)) {
    // Matches at a label boundary, and never an address: `*.9` would otherwise match the end of one.
    const covers = (name: string): boolean =>
      isIP(name) === 0 && (wildcard === undefined ? name === host : name.endsWith(`.${host}`));
    return { isAddress: false, ports, covers };
  }
  const network = new BlockList();
  network.addSubnet(host, Number(bits), 'ipv4');
  return { isAddress: true, ports, covers: (address) => isIPv4(address) && network.check(address, 'ipv4') };
}
