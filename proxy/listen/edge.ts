/** The listeners of a process: connections in, each given to the engine that reads it. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { ListenAddress } from '../config.ts';
import type { Context } from '../context.ts';
import { GeneralServer } from '../general/server.ts';

export class Edge {
  readonly #context: Context;
  readonly #general: GeneralServer;
  readonly #servers: Server[] = [];

  constructor(context: Context) {
    this.#context = context;
    this.#general = new GeneralServer(context);
  }

  /** @param on an address, or the descriptor of a listening socket that was handed to this process */
  async listen(on: ListenAddress | { readonly fd: number }): Promise<AddressInfo> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket: Socket) =>
      this.#general.accept(socket),
    );
    server.maxConnections = this.#context.limits.connections;
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
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    const cut = setTimeout(() => plane.cut(), timeouts.shutdownMs);
    const destroy = setTimeout(() => this.#general.destroy(), timeouts.shutdownMs + timeouts.closeMs);
    await Promise.all([...closed, this.#general.close()]);
    clearTimeout(cut);
    clearTimeout(destroy);
  }
}
