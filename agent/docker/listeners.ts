/** Listening TCP sockets from /proc/net/tcp and tcp6 (proc(5)): what a container really listens on, without an exec. */
import type { Listener } from '../../protocol/steps.ts';
import { readProc } from '../lib/proc.ts';

const LISTEN = '0A';
/** Docker's resolver inside every container of a user-defined network, which is not the app's. */
const EMBEDDED_DNS = '127.0.0.11';
const MAX_LISTENERS = 100;

/** Listeners in the network namespace of process `pid` of the host. Empty if it has just ended; IPv6 may be absent. */
export async function listenersOf(pid: number): Promise<Listener[]> {
  const [tcp, tcp6] = await Promise.all(['tcp', 'tcp6'].map((file) => readProc(`/proc/${pid}/net/${file}`)));
  const found = [...parseListeners(tcp ?? ''), ...parseListeners(tcp6 ?? '')];
  const seen = new Map(found.map((listener) => [`${listener.address} ${listener.port}`, listener]));
  return [...seen.values()].sort((a, b) => a.port - b.port).slice(0, MAX_LISTENERS);
}

/** The LISTEN lines of one of the two files. Addresses are in their usual notation, `::ffff:a.b.c.d` as `a.b.c.d`. */
export function parseListeners(text: string): Listener[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [hex = '', port = ''] = local.split(':');
      if (state !== LISTEN) return [];
      const address = hex.length === 8 ? ipv4(bytesOf(hex)) : ipv6(bytesOf(hex));
      return address === EMBEDDED_DNS ? [] : [{ address, port: Number.parseInt(port, 16) }];
    });
}

/** The kernel prints each 32-bit word of an address in host order (little-endian on all our platforms). */
function bytesOf(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  return bytes.swap32();
}

const ipv4 = (bytes: Buffer): string => [...bytes].join('.');

function ipv6(bytes: Buffer): string {
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (mapped) return ipv4(bytes.subarray(12));
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
  // The URL parser produces the shortest form (RFC 5952).
  return new URL(`http://[${words}]`).hostname.slice(1, -1);
}
