/** How many connections there may be: in all, and of one client address, so that one client cannot take all of them. */
import type { Limits } from '../config.ts';
import { clientNetwork } from '../policy/client-address.ts';

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

  /** Counts a connection in; false when it is one too many. */
  admit(address: string): boolean {
    const key = clientNetwork(address);
    const same = this.#byAddress.get(key) ?? 0;
    if (this.#count >= this.#limits.connections || same >= this.#limits.connectionsPerAddress) {
      this.#refused += 1;
      return false;
    }
    this.#count += 1;
    this.#byAddress.set(key, same + 1);
    return true;
  }

  /** A connection that was admitted has closed. */
  left(address: string): void {
    const key = clientNetwork(address);
    const same = this.#byAddress.get(key) ?? 0;
    this.#count -= 1;
    if (same > 1) this.#byAddress.set(key, same - 1);
    else this.#byAddress.delete(key);
  }
}
