/** Two connections tied together after `101 Switching Protocols`. */
import type { Socket } from 'node:net';
import { closeFrameToClient, closeFrameToServer } from '../websocket/close-frame.ts';
import { Relay } from '../websocket/relay.ts';
import { destroyLate } from './linger.ts';
import type { EndTimes } from './linger.ts';

/** Bytes that a client may send before its upgrade is answered. RFC 6455 section 4.1 has it wait, so few come. */
const EARLY_BYTES = 65_536;

/**
 * Reads from a client whose upgrade is pending. An unread connection would hide that its client has left, and an
 * unwatched one would end the process with its reset.
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

  /** Hands over what came early, and stops watching. */
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
  /** Ends both sides with FIN; what the other sides do not close in time is destroyed. */
  end(): void;
  /** Says goodbye first: a Close frame 1001 to both sides, then, when they have answered or some time has passed, the end. */
  dismiss(): void;
}

interface TunnelTimes extends EndTimes {
  /** Silence in both directions that ends it, ms. */
  readonly idleMs: number;
}

/**
 * Ties two connections until both are closed. A FIN of one side is passed on, an error of one ends the other, and
 * silence in both directions ends both. Both sockets must have an `error` listener.
 */
export function openTunnel(client: Socket, upstream: Socket, times: TunnelTimes, closed: () => void): Tunnel {
  const sides = [client, upstream];
  let stopWaiting: (() => void) | null = null;
  const destroyBoth = (): void => {
    for (const side of sides) side.destroy();
  };
  const passed = (): number => sides.reduce((sum, side) => sum + side.bytesWritten - side.writableLength, 0);
  // One side has ended, or we have; what was sent before may still be on its way through a slow other side.
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
  // One that was destroyed before it was tied may not say so again.
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
