/** Finds the interfaces that lead to this machine's containers and virtual machines. */
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';

/** Interfaces of the default IPv4 routes, from /proc/net/route (proc(5)). */
export const defaultInterfaces = async (): Promise<string[]> =>
  parseDefaultInterfaces(await readFile('/proc/net/route', 'utf8'));

export function parseDefaultInterfaces(routes: string): string[] {
  return routes.split('\n').flatMap((line) => {
    const [name, destination, , , , , , mask] = line.trim().split(/\s+/);
    return destination === '00000000' && mask === '00000000' && name !== undefined ? [name] : [];
  });
}

/** All network interfaces of the machine. */
export const interfaceNames = (): Promise<string[]> => readdir('/sys/class/net');

/**
 * Bridges of the machine's containers and virtual machines: every bridge except one with a default route, through which
 * the machine itself reaches the network.
 */
export async function guestBridges(): Promise<readonly string[]> {
  const outward = await defaultInterfaces();
  return (await interfaceNames())
    .filter((name) => !outward.includes(name) && existsSync(`/sys/class/net/${name}/bridge`))
    .toSorted();
}
