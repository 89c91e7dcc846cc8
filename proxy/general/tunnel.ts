/** Two connections tied together after `101 Switching Protocols`. */
import type { Socket } from 'node:net';
import { closeFrameToClient, closeFrameToServer } from '../websocket/close-frame.ts';
import { Relay } from '../websocket/relay.ts';
import { destroyLate } from './linger.ts';
import type { EndTimes } from './linger.ts';

/**
 * Bytes that a client may send before the response to its upgrade. RFC 6455 section 4.1 has it wait, so there are few.
 */
const EARLY_BYTES = 65_536;

/**
 * Reads from a client whose upgrade is pending. Without reading, its leaving would go unnoticed; without a listener,
 * its reset would end the process.
 */
export class WaitingClient {
  readonly #socket: Socket;
  readonly #early: Buffer[];
  #size: number;

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#early = [head];
    this.#size = head.length;
    socket.on('data', this.#keep);
    socket.on('end', this.#leave);
  }

  /** Returns the early bytes and stops watching. */
  take(): Buffer {
    this.#socket.off('data', this.#keep);
    this.#socket.off('end', this.#leave);
    this.#socket.pause();
    return Buffer.concat(this.#early);
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#size += chunk.length;
    if (this.#size > EARLY_BYTES) this.#socket.destroy();
    else this.#early.push(chunk);
  };

  readonly #leave = (): void => {
    this.#socket.destroy();
  };
}

export interface Tunnel {
  /** Sends FIN to both sides; a connection that its other end does not close in time is destroyed. */
  end(): void;
  /** Sends a Close frame 1001 to both sides, and ends the tunnel when both have answered or `closeMs` has passed. */
  dismiss(): void;
}

interface TunnelTimes extends EndTimes {
  /** Silence in both directions after which the tunnel is closed, ms. */
  readonly idleMs: number;
}

/**
 * Ties two connections together until both are closed. A FIN of one side is forwarded, an error of one side closes the
 * other, and silence in both directions closes both. Both sockets must have an `error` listener.
 */
export function openTunnel(client: Socket, upstream: Socket, times: TunnelTimes, closed: () => void): Tunnel {
  const sides = [client, upstream];
  let stopWaiting: (() => void) | null = null;
  const destroyBoth = (): void => {
    for (const side of sides) side.destroy();
  };
  const passed = (): number => sides.reduce((sum, side) => sum + side.bytesWritten - side.writableLength, 0);
  // One side has ended, or we have; what was sent before may still be draining to a slow other side.
  const endSoon = (): void => {
    stopWaiting?.();
    stopWaiting = destroyLate(sides, times, passed);
  };
  const sideClosed = (): void => {
    if (!sides.every((side) => side.closed)) return;
    stopWaiting?.();
    closed();
  };
  for (const side of sides) {
    side.setNoDelay(true);
    side.setTimeout(times.idleMs, destroyBoth);
    side.once('end', endSoon);
    side.once('close', (hadError: boolean) => {
      if (hadError) destroyBoth();
      else endSoon();
      sideClosed();
    });
  }
  const toServer = new Relay(client, upstream, closeFrameToServer);
  const toClient = new Relay(upstream, client, closeFrameToClient);
  // A socket that was destroyed before may not emit `close` again.
  if (sides.some((side) => side.destroyed)) destroyBoth();
  sideClosed();
  const end = (): void => {
    toServer.end();
    toClient.end();
    endSoon();
  };
  return {
    end,
    dismiss: () => {
      const late = setTimeout(end, times.closeMs);
      const answered = (): void => {
        if (!toServer.saidGoodbye || !toClient.saidGoodbye) return;
        clearTimeout(late);
        end();
      };
      toClient.dismiss(answered);
      toServer.dismiss(answered);
    },
  };
}
