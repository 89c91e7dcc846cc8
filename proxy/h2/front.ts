/** The HTTP/2 front: serves HTTP/2 clients, working on bytes (ADR 15). */
import type { Socket } from 'node:net';
import { plainAddress } from '../../protocol/client-network.ts';
import type { Config } from '../config.ts';
import type { Acceptor, Context } from '../engine/context.ts';
import { DateLine } from '../http/date-line.ts';
import { RequestIds } from '../http/request-ids.ts';
import { mappedBuffer } from '../mapped-buffer.ts';
import { SharedReads } from '../net/reads.ts';
import type { Calls } from '../target/call.ts';
import { Http2Sessions } from '../target/http2-sessions.ts';
import { ClientSession } from './session.ts';
import type { Peer, Shared } from './session.ts';
import { FieldBlock } from './wire/field-block.ts';
import { FieldList } from './wire/hpack-decoder.ts';
import { Outputs } from './wire/outputs.ts';

/** Size of the read buffer, bytes. All connections share it, so whatever outlives a read must be copied. */
const READ_BYTES = 65_536;
const TICK_MS = 1_000;
/** Limit of streams that wait for their clients. Each holds about 64 KiB, so beyond it they may wait only briefly. */
const MAX_STALLED = 1_000;
const SHORT_STALL_MS = 5_000;

export class Http2Front {
  readonly #shared: Shared;
  readonly #in = mappedBuffer(READ_BYTES);
  readonly #reads = new SharedReads(this.#in);
  readonly #sessions = new Set<ClientSession>();
  /** Null while there is no session. */
  #ticker: NodeJS.Timeout | null = null;
  #closing = false;
  #whenEmpty: (() => void)[] = [];

  /**
   * @param general serves requests that need features of the general engine, over in-process connections
   * @param engine `http-proxy`: the general engine serves all requests
   */
  constructor(context: Context, calls: Calls, general: Acceptor, engine: Config['engine'] = 'fast') {
    const { clock, timeouts, limits } = context;
    // More than is accepted, so that a head that is slightly too large gets an error page and not a reset.
    const maxListBytes = 4 * limits.headBytes;
    const fields = new FieldList(maxListBytes);
    this.#shared = {
      context,
      calls,
      sessions: new Http2Sessions(timeouts, clock),
      general,
      engine,
      ids: new RequestIds(),
      date: new DateLine(clock),
      tools: { clock, outputs: new Outputs(), fields, block: new FieldBlock(), maxListBytes },
    };
  }

  /**
   * @param socket a paused TLS socket after its handshake, with ALPN `h2`; bytes that it has buffered are consumed
   *   first
   * @param peer absent: derived from the socket
   */
  accept(socket: Socket, peer: Peer = peerOf(socket)): void {
    const session = new ClientSession(socket, peer, this.#shared, () => this.#left(session));
    this.#sessions.add(session);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
    if (this.#closing) session.close();
    const begun = socket.read() as Buffer | null;
    this.#reads.attach(socket, (length) => session.read(this.#in, 0, length));
    if (begun === null || session.read(begun, 0, begun.length)) socket.resume();
  }

  /** Sends GOAWAY to all clients and lets requests in flight finish. Resolves when no connection is left. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const session of this.#sessions) session.close();
    if (this.#sessions.size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    this.#shared.sessions.close();
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
    this.#rest();
    this.#shared.sessions.close();
  }

  #left(session: ClientSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size > 0) return;
    this.#rest();
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }

  #rest(): void {
    if (this.#ticker) clearInterval(this.#ticker);
    this.#ticker = null;
  }

  #tick(): void {
    const now = this.#shared.context.clock.monotonic();
    let stalled = 0;
    for (const session of this.#sessions) stalled += session.stalled;
    const stallMs = stalled > MAX_STALLED ? SHORT_STALL_MS : undefined;
    for (const session of this.#sessions) session.tick(now, stallMs);
  }
}

function peerOf({ remoteAddress }: Socket): Peer {
  return { address: plainAddress(remoteAddress ?? ''), secure: true, trusted: null };
}
