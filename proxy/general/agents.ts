/** Agents of node:http for connections to targets: one per target that keeps them alive, and one whose connections serve one request. */
import { Agent } from 'node:http';
import type { ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Limits, Timeouts } from '../config.ts';
import { TargetSocket } from '../target/socket.ts';
import type { Target } from '../upstream/target.ts';

class KeepAliveAgent extends Agent {
  #retired = false;

  /** Documented hook: whether a connection that finished its request goes back to the pool. */
  override keepSocketAlive(socket: Duplex): boolean {
    // The types lag behind: the method answers whether the socket was kept.
    const kept: unknown = super.keepSocketAlive(socket);
    return !this.#retired && kept !== false;
  }

  /** Closes what is idle, and what is busy when it finishes: an app that is told to stop should not wait for us. */
  retire(): void {
    this.#retired = true;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }
}

/** Serves one request per connection, said so by `Connection: close`. All that have a body are among them. */
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

  /** That of a target; it goes when the target is retired. */
  of(target: Target): Agent {
    const known = this.#kept.get(target);
    if (known) return known;
    const agent = new KeepAliveAgent({
      keepAlive: true,
      scheduling: 'lifo',
      maxFreeSockets: this.#limits.poolPerTarget,
      timeout: this.#timeouts.poolIdleMs,
    });
    // Claimed just before its target was retired: usable once, but nothing stays.
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
