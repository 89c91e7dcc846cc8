/** Keep-alive connections to targets: one pool per target, most recently used first. */
import type { Clock } from '../clock.ts';
import type { Limits, Timeouts } from '../config.ts';
import { mappedBuffer } from '../mapped-buffer.ts';
import { CHECK_MS, Pulse } from '../net/pulse.ts';
import type { Target } from '../upstream/target.ts';
import type { Call, CallRequest, Calls, CallSink } from './call.ts';
import { TargetConnection } from './connection.ts';
import type { ConnectionOwner } from './owner.ts';
import { ReadBuffers } from './read-buffers.ts';
import { ResponseHead } from './response-head.ts';

/** Room for a head of 16 KiB, our fields, and the body bytes of one read from a client. */
const SCRATCH_BYTES = 98_304;
/** Connections closed in one turn of the event loop; each close takes about 20 µs. */
const CLOSED_AT_ONCE = 8;
/** A request that must not be repeated uses an idle connection only if it was in use this recently, ms. */
const FRESH_MS = 1_000;

export class Pools implements Calls, ConnectionOwner {
  readonly timeouts: Timeouts;
  /** Buffer in which a request head is built. It is sent or copied before the next one is built. */
  readonly scratch = mappedBuffer(SCRATCH_BYTES);
  readonly buffers = new ReadBuffers();
  readonly head = new ResponseHead();
  /** Also checks the connections of clients, which read its time. */
  readonly pulse: Pulse;
  readonly #limits: Limits;
  readonly #idle = new Map<Target, TargetConnection[]>();
  readonly #all = new Set<TargetConnection>();
  #idleCount = 0;
  #closing = false;

  constructor(limits: Limits, timeouts: Timeouts, clock: Clock) {
    this.timeouts = timeouts;
    this.#limits = limits;
    // Tests have limits shorter than 2 s.
    const shortestMs = Math.min(...Object.values(timeouts));
    this.pulse = new Pulse(clock, Math.max(10, Math.min(CHECK_MS, shortestMs / 4)));
    // Fails calls that time out, and closes idle connections before the target does.
    this.pulse.watch(this.#all, (connection) => connection.check(this.now));
  }

  get now(): number {
    return this.pulse.now;
  }

  get counts(): { idle: number; busy: number } {
    return { idle: this.#idleCount, busy: this.#all.size - this.#idleCount };
  }

  start(request: CallRequest, sink: CallSink): Call {
    // A WebSocket takes its connection out of the pool for good, so it opens a new one.
    const kept = request.switched === null ? this.#take(request) : null;
    const connection = kept ?? this.#open(request.target);
    connection.start(request, sink, kept !== null);
    return connection;
  }

  idle(connection: TargetConnection): void {
    const pool = this.#pool(connection.target);
    if (pool === null || pool.length >= this.#limits.poolPerTarget) {
      connection.destroy();
      return;
    }
    connection.idleSince = this.now;
    pool.push(connection);
    this.#idleCount += 1;
  }

  closed(connection: TargetConnection): void {
    this.#all.delete(connection);
    const pool = this.#idle.get(connection.target);
    const at = pool?.lastIndexOf(connection) ?? -1;
    if (at < 0) return;
    pool?.splice(at, 1);
    this.#idleCount -= 1;
  }

  close(): void {
    this.#closing = true;
    for (const target of this.#idle.keys()) this.#retire(target);
  }

  #take({ framing, idempotent, target }: CallRequest): TargetConnection | null {
    const pool = this.#idle.get(target);
    // A connection that has just been closed stays in the pool until its `close` event.
    while (pool?.at(-1)?.isOpen === false) this.#drop(pool);
    const connection = pool?.at(-1);
    if (pool === undefined || connection === undefined) return null;
    const idleMs = this.now - connection.idleSince;
    if ((framing !== 'none' || !idempotent) && idleMs >= FRESH_MS) return null;
    this.#drop(pool);
    return connection;
  }

  #drop(pool: TargetConnection[]): void {
    pool.pop();
    this.#idleCount -= 1;
  }

  #open(target: Target): TargetConnection {
    this.pulse.wake();
    const connection = new TargetConnection(target, this);
    this.#all.add(connection);
    return connection;
  }

  /** Null when the target is being retired: an app that has to stop should not wait for idle connections. */
  #pool(target: Target): TargetConnection[] | null {
    if (this.#closing || target.state !== 'healthy') return null;
    const known = this.#idle.get(target);
    if (known) return known;
    const pool: TargetConnection[] = [];
    this.#idle.set(target, pool);
    target.onRetired(() => this.#retire(target));
    return pool;
  }

  #retire(target: Target): void {
    const idle = this.#idle.get(target) ?? [];
    this.#idleCount -= idle.length;
    this.#idle.delete(target);
    closeInTurns(idle);
  }
}

/** Closing hundreds at once would delay the flip that retired their target, and every request at that moment. */
function closeInTurns(connections: TargetConnection[]): void {
  for (const connection of connections.splice(-CLOSED_AT_ONCE)) connection.destroy();
  if (connections.length > 0) setImmediate(() => closeInTurns(connections));
}
