/** Limits connections: in total, and per client address so that one client cannot take them all. */
import type { Limits } from '../config.ts';
import { clientNetwork } from '../../protocol/client-network.ts';

export class ConnectionCaps {
  readonly #limits: Limits;
  readonly #byAddress = new Map<string, number>();
  #count = 0;
  #refused = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Connections open now, and refused since the start. */
  get counts(): { readonly open: number; readonly refused: number } {
    return { open: this.#count, refused: this.#refused };
  }

  /**
   * Counts a connection in; false when it exceeds a limit.
   * @param address null: a sender that speaks for many clients, to which only the total limit applies
   */
  admit(address: string | null): boolean {
    if (this.#count >= this.#limits.connections || (address !== null && !this.#hasRoom(address))) return this.refuse();
    this.#count += 1;
    if (address !== null) this.#add(address, 1);
    return true;
  }

  /** A connection that was admitted has closed. */
  left(address: string | null): void {
    this.#count -= 1;
    if (address !== null) this.#add(address, -1);
  }

  /** Counts an admitted connection for the client that its sender names; false when that client has too many. */
  name(client: string): boolean {
    if (!this.#hasRoom(client)) return this.refuse();
    this.#add(client, 1);
    return true;
  }

  /** A connection that was named has closed. */
  unname(client: string): void {
    this.#add(client, -1);
  }

  /** Counts a refused connection. */
  refuse(): false {
    this.#refused += 1;
    return false;
  }

  #hasRoom(address: string): boolean {
    return (this.#byAddress.get(clientNetwork(address)) ?? 0) < this.#limits.connectionsPerAddress;
  }

  #add(address: string, connections: 1 | -1): void {
    const key = clientNetwork(address);
    const now = (this.#byAddress.get(key) ?? 0) + connections;
    if (now > 0) this.#byAddress.set(key, now);
    else this.#byAddress.delete(key);
  }
}
