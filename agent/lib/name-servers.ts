/** The host's name servers, as code needs them that works in another network namespace. */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { z } from 'zod';

export const RESOLV_CONF = '/etc/resolv.conf';
/** Lists the servers that systemd-resolved queries (systemd-resolved.service(8)). */
export const BEHIND_RESOLVED = '/run/systemd/resolve/resolv.conf';
/** Settings of Docker Engine: `dns` is what it gives to containers (dockerd(8)). */
export const ENGINE_SETTINGS = '/etc/docker/daemon.json';

/**
 * IPv4 name servers that are reachable from another network namespace. One on this host (systemd-resolved, dnsmasq,
 * unbound) is not; instead, those behind systemd-resolved are returned, or those that Docker Engine is set to give to
 * containers. Empty: none is known.
 */
export async function reachableNameServers(): Promise<readonly string[]> {
  for (const [path, parse] of [
    [RESOLV_CONF, parseNameServers],
    [BEHIND_RESOLVED, parseNameServers],
    [ENGINE_SETTINGS, parseEngineNameServers],
  ] as const) {
    const text = await readFile(path, 'utf8').catch(() => ''); // not every host has all of them
    const servers = parse(text).filter((server) => isIPv4(server) && !isOnThisHost(server));
    if (servers.length > 0) return servers;
  }
  return [];
}

/** Whether a name server is on this host itself, where builds and apps cannot reach it. */
export const isOnThisHost = (address: string): boolean =>
  address.startsWith('127.') ||
  Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === address));

/** IPv4 name servers of /etc/resolv.conf that are reachable in this network namespace only. */
export async function loopbackNameServers(): Promise<readonly string[]> {
  const text = await readFile(RESOLV_CONF, 'utf8').catch(() => ''); // not every host has it
  return parseNameServers(text).filter((server) => server.startsWith('127.'));
}

/** IPv4 addresses of the nameserver lines of a resolv.conf(5). */
export function parseNameServers(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    return server !== undefined && isIPv4(server) ? [server] : [];
  });
}

const EngineSettings = z.object({ dns: z.array(z.string()).default([]) });

/** Addresses in `dns` of the engine's settings; none if the text is not such settings: the engine itself says so. */
export function parseEngineNameServers(text: string): string[] {
  try {
    return EngineSettings.parse(JSON.parse(text)).dns;
  } catch {
    return [];
  }
}
