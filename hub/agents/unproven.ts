/** Connections that have not proved who they are: each for a moment, few of one client, and not many in all. */
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { canonicalAddress, clientNetwork } from '../../protocol/client-network.ts';

/** In all, and of one client: a new one takes the place of the oldest. */
const MOST_UNPROVEN = 64;
const MOST_OF_CLIENT = 32;
const LOOPBACK = /^(?:::1$|127\.)/;

interface Unproven {
  readonly client: string;
  readonly deadline: NodeJS.Timeout;
}

export class UnprovenConnections {
  readonly #limitMs: number;
  /** Oldest first. */
  readonly #open = new Map<WebSocket, Unproven>();

  /** @param limitMs after which one is cut off, ms */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  add(socket: WebSocket, request: IncomingMessage): void {
    const client = clientOf(request);
    this.#makeRoom(client);
    this.#open.set(socket, { client, deadline: setTimeout(() => socket.terminate(), this.#limitMs) });
    socket.once('close', () => this.remove(socket));
  }

  /** It has said who it is. */
  remove(socket: WebSocket): void {
    clearTimeout(this.#open.get(socket)?.deadline);
    this.#open.delete(socket);
  }

  /** An agent has proved itself in a moment, so the oldest is the least likely to be one. */
  #makeRoom(client: string): void {
    const neighbours = [...this.#open].filter(([, other]) => other.client === client);
    const crowd = neighbours.length >= MOST_OF_CLIENT ? neighbours : [...this.#open];
    const [oldest] = crowd[0] ?? [];
    if (oldest === undefined || (crowd !== neighbours && crowd.length < MOST_UNPROVEN)) return;
    this.remove(oldest);
    oldest.terminate();
  }
}

/** Only a proxy on this machine may say whom it speaks for; the last address is the one that it has added itself. */
function clientOf({ socket, headers }: IncomingMessage): string {
  const peer = canonicalAddress(socket.remoteAddress ?? '') ?? '';
  const last =
    String(headers['x-forwarded-for'] ?? '')
      .split(',')
      .at(-1) ?? '';
  const named = LOOPBACK.test(peer) ? canonicalAddress(last.trim()) : null;
  return clientNetwork(named ?? peer);
}
