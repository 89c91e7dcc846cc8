/** The end of a connection to a client that may still be sending. */
import type { Duplex } from 'node:stream';

/**
 * FIN, and what still comes is read for a while and dropped: a connection that is closed with unread bytes is reset, and
 * that can take the answer away from a client which has not read it yet (RFC 9112 section 9.6).
 */
export function linger(socket: Duplex, closeMs: number): void {
  socket.end();
  socket.resume();
  const late = setTimeout(() => socket.destroy(), closeMs).unref();
  socket.once('close', () => clearTimeout(late));
}
