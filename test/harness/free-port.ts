/** Ports on loopback for programs that cannot tell which one they took, and one that nobody listens on. */
import { randomInt } from 'node:crypto';
import { isFree } from '../../installer/start/ports.ts';

/**
 * Below what the kernel gives to whoever asks for any port (from 32768 on: ip(7), ip_local_port_range): a port of those
 * that was free a moment ago is somebody else's the next, once in some hundred times.
 */
const [FIRST, AFTER_LAST] = [20_000, 32_000];

/** A port on 127.0.0.1 that is free, and that nobody gets who does not ask for it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, AFTER_LAST);
    if (await isFree('127.0.0.1', port)) return port;
  }
}

/** Where nobody listens: "discard". One that a server just gave up may be the next one's at once. */
export const CLOSED_PORT = 9;
