/**
 * Agents of node:http for connections to targets: a keep-alive agent per target, and one for single-use connections.
 */
import { Agent } from 'node:http';
import type { ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Limits, Timeouts } from '../config.ts';
import { TargetSocket } from '../target/socket.ts';
import type { Target } from '../upstream/target.ts';

class KeepAliveAgent extends Agent {
  #retired = false;

  /** Documented hook: returns whether a connection goes back to the pool after its request. */
  override keepSocketAlive(socket: Duplex): boolean {
    // The types lag behind: the method returns whether the socket was kept.
    const kept: unknown = super.keepSocketAlive(socket);
    return !this.#retired && kept !== false;
  }

  /** Closes idle connections now, and busy ones when they finish: an app that has to stop should not wait for us. */
  retire(): void {
    this.#retired = true;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }
}

/** Serves one request per connection, and sends `Connection: close`. All requests with a body use it. */
class FreshAgent extends Agent {
  constructor() {
    super({ keepAlive: false });
  }

  override createConnection(options: ClientRequestArgs): Duplex {
    const socket = new TargetSocket();
    socket.isHeardOut = true;
    return socket.setNoDelay(true).connect({ host: options.host ?? '', port: Number(options.port) });
  }
}

export class Agents {
  readonly fresh = new FreshAgent();
  readonly #kept = new Map<Target, KeepAliveAgent>();
  readonly #limits: Limits;
  readonly #timeouts: Timeouts;

  constructor(limits: Limits, timeouts: Timeouts) {
    this.#limits = limits;
    this.#timeouts = timeouts;
  }

  /** Returns the keep-alive agent of a target, which is retired with the target. */
  of(target: Target): Agent {
    const known = this.#kept.get(target);
    if (known) return known;
    const agent = new KeepAliveAgent({
      keepAlive: true,
      scheduling: 'lifo',
      maxFreeSockets: this.#limits.poolPerTarget,
      timeout: this.#timeouts.poolIdleMs,
    });
    // The target was retired just after it was claimed: the agent serves this request but keeps no connection.
    if (target.state !== 'healthy') {
      agent.retire();
      return agent;
    }
    this.#kept.set(target, agent);
    target.onRetired(() => {
      this.#kept.delete(target);
      agent.retire();
    });
    return agent;
  }

  close(): void {
    for (const agent of this.#kept.values()) agent.retire();
  }
}
