/**
 * Where the owner makes the proxy listen, beside a web server on 80 and 443 (docs/beside.md): drop-ins of its sockets.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

type EdgeSocket = 'orkestr-proxy.socket' | 'orkestr-proxy-tls.socket';

const UNITS = 'etc/systemd/system';
const LISTEN = /^[ \t]*ListenStream[ \t]*=[ \t]*(\S+)/gm;

/** @returns `[address:]port` of each; empty: the addresses of the unit itself */
export function givenAddresses(root: string, socket: EdgeSocket): readonly string[] {
  const folder = join(root, UNITS, `${socket}.d`);
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.conf'));
  return files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(LISTEN)].map(([, address = '']) => address),
  );
}

/** Whether only this host reaches the proxy there, so that the owner's web server must forward visitors. */
export function isBehind(root: string, socket: EdgeSocket): boolean {
  const given = givenAddresses(root, socket);
  return given.length > 0 && given.every((address) => /^(?:127\.|\[::1\]:)/.test(address));
}

/** Whether the owner's web server terminates TLS. */
export const endsTlsBefore = (root: string): boolean => isBehind(root, 'orkestr-proxy-tls.socket');
