/** Graceful closing of connections: how long to wait for queued output to be taken, and for input to end. */
import type { Duplex } from 'node:stream';
import type { Timeouts } from '../config.ts';

export type EndTimes = Pick<Timeouts, 'closeMs' | 'clientStallMs'>;

/**
 * Sends FIN, then reads and drops input for a while. A connection closed with unread bytes is reset, which can destroy
 * a response that the client has not read yet (RFC 9112 section 9.6).
 */
export function linger(socket: Duplex, times: EndTimes): void {
  socket.end();
  socket.resume();
  socket.once('close', destroyLate([socket], times));
}

/**
 * Destroys connections that have been quiet for `closeMs`, or for `clientStallMs` while output is queued, since a
 * reader that takes some of it is slow, not gone. Checks every `closeMs`.
 * @param passed grows with what the readers take; absent: nothing more is written, so the shrinking queue shows it
 * @returns stops the checks
 */
export function destroyLate(
  sockets: readonly Duplex[],
  { closeMs, clientStallMs }: EndTimes,
  passed: () => number = () => -waitingBytes(sockets),
): () => void {
  let before = passed();
  let quietMs = 0;
  const stop = (): void => clearInterval(timer);
  const look = (): void => {
    const now = passed();
    quietMs = now === before ? quietMs + closeMs : 0;
    before = now;
    if (quietMs < (waitingBytes(sockets) > 0 ? clientStallMs : closeMs)) return;
    stop();
    for (const socket of sockets) socket.destroy();
  };
  const timer = setInterval(look, closeMs).unref();
  return stop;
}

/** Bytes that the kernel has not taken yet, of sockets that are not destroyed. */
function waitingBytes(sockets: readonly Duplex[]): number {
  return sockets.reduce((sum, socket) => sum + (socket.destroyed ? 0 : socket.writableLength), 0);
}
