/** Free loopback ports for programs that cannot report the port they got, and a port on which nobody listens. */
import { randomInt } from 'node:crypto';
import { isFree } from '../../installer/start/ports.ts';

/**
 * Below the kernel's ephemeral ports (from 32768 on: ip(7), ip_local_port_range): about once in some hundred times, a
 * free port of those is taken by somebody else a moment later.
 */
const [FIRST, AFTER_LAST] = [20_000, 32_000];

/** Returns a free port on 127.0.0.1 that the kernel assigns to nobody by itself. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, AFTER_LAST);
    if (await isFree('127.0.0.1', port)) return port;
  }
}

/** Nobody listens on "discard". A port that a server has just released may be in use again at once. */
export const CLOSED_PORT = 9;
