/** Connections that begin with a PROXY protocol header: reads and removes it, and reports the client that it names. */
import type { Socket } from 'node:net';
import type { Timeouts } from '../config.ts';
import { readProxyHeader } from './proxy-protocol.ts';

/**
 * Reads the header of a connection from a trusted sender. A connection without one is closed: the sender's settings do
 * not match ours, and every address in the logs would be wrong.
 * @param ready gets the client's address; null: the sender speaks for itself. The bytes after the header are back in
 *   the socket, which is paused
 */
export function readProxied(socket: Socket, timeouts: Timeouts, ready: (address: string | null) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeouts.clientHeadMs);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off('data', read).off('close', stop);
    socket.pause();
  };
  const read = (bytes: Buffer): void => {
    seen = Buffer.concat([seen, bytes]);
    const header = readProxyHeader(seen);
    if (header.state === 'more') return;
    stop();
    if (header.state === 'bad') {
      socket.destroy();
      return;
    }
    const rest = seen.subarray(header.length);
    if (rest.length > 0) socket.unshift(rest);
    ready(header.source?.address ?? null);
  };
  // `close` follows.
  socket.on('error', () => undefined);
  socket.on('close', stop).on('data', read);
}
