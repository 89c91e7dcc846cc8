/** The open challenges. Listeners get each change before a CA is asked to validate. */
import type { TerminatorState } from '../state.ts';

export class Challenges {
  readonly #http = new Map<string, string>();
  readonly #alpn = new Map<string, { chain: string; privateKey: string }>();
  readonly #tell: (challenges: TerminatorState['challenges']) => void | Promise<void>;

  /** @param tell resolves once all listeners answer accordingly */
  constructor(tell: (challenges: TerminatorState['challenges']) => void | Promise<void>) {
    this.#tell = tell;
  }

  /** Runs `work` while `/.well-known/acme-challenge/<token>` is answered with `body`. */
  async whileHttp<T>(token: string, body: string, work: () => Promise<T>): Promise<T> {
    return this.#while(this.#http, token, body, work);
  }

  /** Runs `work` while an `acme-tls/1` handshake for `host` gets this certificate. */
  async whileAlpn<T>(host: string, pair: { chain: string; privateKey: string }, work: () => Promise<T>): Promise<T> {
    return this.#while(this.#alpn, host, pair, work);
  }

  async #while<V, T>(open: Map<string, V>, name: string, value: V, work: () => Promise<T>): Promise<T> {
    open.set(name, value);
    try {
      await this.#changed();
      return await work();
    } finally {
      open.delete(name);
      await this.#changed();
    }
  }

  async #changed(): Promise<void> {
    await this.#tell({ http: Object.fromEntries(this.#http), alpn: Object.fromEntries(this.#alpn) });
  }
}
