/** The listeners of a process: connections in, each given to the engine that reads it. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Config, ListenAddress } from '../config.ts';
import type { Context } from '../context.ts';
import { FastEngine } from '../fast/engine.ts';
import { Pools } from '../fast/pool.ts';
import { plainAddress } from '../general/headers.ts';
import { GeneralServer } from '../general/server.ts';
import { ConnectionCaps } from './caps.ts';

export class Edge {
  readonly #context: Context;
  readonly #engine: Config['engine'];
  readonly #caps: ConnectionCaps;
  readonly #general: GeneralServer;
  readonly #fast: FastEngine;
  readonly #servers: Server[] = [];

  constructor(context: Context, engine: Config['engine']) {
    this.#context = context;
    this.#engine = engine;
    this.#caps = new ConnectionCaps(context.limits);
    this.#general = new GeneralServer(context);
    const pools = new Pools(context.limits, context.timeouts, context.clock);
    this.#fast = new FastEngine(context, this.#general, pools);
  }

  /** @param on an address, or the descriptor of a listening socket that was handed to this process */
  async listen(on: ListenAddress | { readonly fd: number }): Promise<AddressInfo> {
    const pauseOnConnect = this.#engine === 'fast';
    const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect }, (socket) =>
      this.#accept(socket),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(on, resolve);
    });
    this.#servers.push(server);
    return server.address() as AddressInfo;
  }

  /**
   * Takes no more connections, tells keep-alive clients to go, lets what is in flight finish and cuts what is left at the
   * deadline.
   */
  async close(): Promise<void> {
    const { timeouts, plane } = this.#context;
    // Not its callback: the engines know better which connections are left.
    for (const server of this.#servers) server.close();
    const cut = setTimeout(() => plane.cut(), timeouts.shutdownMs);
    const destroy = setTimeout(() => {
      this.#general.destroy();
      this.#fast.destroy();
    }, timeouts.shutdownMs + timeouts.closeMs);
    await Promise.all([this.#fast.close(), this.#general.close()]);
    clearTimeout(cut);
    clearTimeout(destroy);
  }

  #accept(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? '');
    if (!this.#caps.admit(address)) {
      socket.destroy();
      return;
    }
    const connection = this.#engine === 'fast' ? this.#fast.accept(socket) : this.#general.accept(socket);
    connection.once('close', () => this.#caps.left(address));
  }
}
