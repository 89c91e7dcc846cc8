/** Bounds the connections that have not authenticated yet: in duration, per client and in total. */
import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { WebSocket } from 'ws';
import { contains } from '../../protocol/address-kind.ts';
import { canonicalAddress, clientNetwork } from '../../protocol/client-network.ts';

/** In total and per client: a new connection evicts the oldest. */
const MAX_UNPROVEN = 64;
const MAX_OF_CLIENT = 32;

interface Unproven {
  readonly client: string;
  readonly deadline: NodeJS.Timeout;
}

export class UnprovenConnections {
  readonly #limitMs: number;
  readonly #trusted: BlockList;
  /** Oldest first. */
  readonly #open = new Map<WebSocket, Unproven>();

  /** @param limitMs time until a connection is cut, ms @param trusted proxies whose X-Forwarded-For is trusted */
  constructor(limitMs: number, trusted: BlockList) {
    this.#limitMs = limitMs;
    this.#trusted = trusted;
  }

  add(socket: WebSocket, request: IncomingMessage): void {
    const client = clientOf(request, this.#trusted);
    this.#makeRoom(client);
    this.#open.set(socket, { client, deadline: setTimeout(() => socket.terminate(), this.#limitMs) });
    socket.once('close', () => this.remove(socket));
  }

  /** The connection has sent its hello. */
  remove(socket: WebSocket): void {
    clearTimeout(this.#open.get(socket)?.deadline);
    this.#open.delete(socket);
  }

  /** An agent authenticates within moments, so the oldest connection is the least likely to be one. */
  #makeRoom(client: string): void {
    const neighbours = [...this.#open].filter(([, other]) => other.client === client);
    const crowd = neighbours.length >= MAX_OF_CLIENT ? neighbours : [...this.#open];
    const [oldest] = crowd[0] ?? [];
    if (oldest === undefined || (crowd !== neighbours && crowd.length < MAX_UNPROVEN)) return;
    this.remove(oldest);
    oldest.terminate();
  }
}

/** A trusted proxy appends its client's address. Walk from the end while the address is itself a trusted proxy. */
function clientOf({ socket, headers }: IncomingMessage, trusted: BlockList): string {
  const named = String(headers['x-forwarded-for'] ?? '').split(',');
  let client = canonicalAddress(socket.remoteAddress ?? '');
  while (client !== null && contains(trusted, client)) {
    const before = canonicalAddress(named.pop()?.trim() ?? '');
    if (before === null) break;
    client = before;
  }
  return clientNetwork(client ?? '');
}
