/** Connections that are ending: how long what is still to be taken, and what still comes, is waited for. */
import type { Duplex } from 'node:stream';
import type { Timeouts } from '../config.ts';

export type EndTimes = Pick<Timeouts, 'closeMs' | 'clientStallMs'>;

/**
 * FIN, and what still comes is read for a while and dropped: a connection that is closed with unread bytes is reset, and
 * that can take the answer away from a client which has not read it yet (RFC 9112 section 9.6).
 */
export function linger(socket: Duplex, times: EndTimes): void {
  socket.end();
  socket.resume();
  socket.once('close', destroyLate([socket], times));
}

/**
 * Destroys connections that have been quiet for `closeMs`, or, while bytes wait for a reader, for `clientStallMs`: one
 * that takes some of them is slow, and not gone. They are looked at every `closeMs`.
 * @param passed grows with what their readers take; absent: nothing is written any more, so what waits becomes less
 * @returns ends it
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

/** What the kernel has not taken of those that are still there. */
function waitingBytes(sockets: readonly Duplex[]): number {
  return sockets.reduce((sum, socket) => sum + (socket.destroyed ? 0 : socket.writableLength), 0);
}
