/** What the host's network looks like to those who make networks on it. */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';

/** Interface of the default IPv4 route, from /proc/net/route (proc(5)); null without one. */
export async function defaultInterface(): Promise<string | null> {
  return parseDefaultInterface(await readFile('/proc/net/route', 'utf8'));
}

export function parseDefaultInterface(routes: string): string | null {
  for (const line of routes.split('\n').slice(1)) {
    const [name, destination, , , , , , mask] = line.trim().split(/\s+/);
    if (destination === '00000000' && mask === '00000000' && name !== undefined) return name;
  }
  return null;
}

/** MTU that fits the way out of the host, bytes. Bridges with a larger one make connections hang where ICMP is lost. */
export async function outgoingMtu(): Promise<number> {
  const name = await defaultInterface();
  if (name === null) return 1500;
  return Number((await readFile(`/sys/class/net/${name}/mtu`, 'utf8')).trim());
}

/**
 * IPv4 name servers that can be asked from another network namespace. A loopback one (systemd-resolved, dnsmasq) can
 * not, so then those behind it are given where systemd tells them. Empty: none is known.
 */
export async function reachableNameServers(): Promise<readonly string[]> {
  for (const path of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const text = await readFile(path, 'utf8').catch(() => ''); // not every host has either
    const servers = parseNameServers(text).filter((server) => !server.startsWith('127.'));
    if (servers.length > 0) return servers;
  }
  return [];
}

/** IPv4 addresses of the nameserver lines of a resolv.conf(5). */
export function parseNameServers(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    return server !== undefined && isIPv4(server) ? [server] : [];
  });
}
