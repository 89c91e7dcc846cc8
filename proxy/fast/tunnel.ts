/**
 * Two connections tied together after `101 Switching Protocols`: what is read of the one is written to the other at once,
 * out of the shared read buffer. Time limits are looked at by the sweep; no timer is made.
 */
import type { Socket } from 'node:net';
import type { Outlet, Wire } from '../net/outlet.ts';
import { closeFrameToClient, closeFrameToServer } from '../websocket/close-frame.ts';
import { Direction } from '../websocket/direction.ts';

interface TunnelTimes {
  /** Coarse monotonic time, ms. */
  readonly clock: { readonly now: number };
  /** Silence in both directions that ends it, ms. */
  readonly idleMs: number;
  /** How long the end of one side, a goodbye, or our own end wait for the other side, ms. */
  readonly closeMs: number;
  /** As long instead while bytes wait for a side that is slow, from the last one that it took, ms. */
  readonly stallMs: number;
}

/** One of the two, and the direction that comes from it. */
class Side {
  readonly socket: Socket;
  readonly outlet: Outlet;
  readonly direction = new Direction();
  /** As this side must get it. */
  readonly closeFrame: () => Buffer;
  /** Bytes read of it. */
  bytes = 0;
  hasEnded = false;
  hasClosed = false;

  constructor({ socket, outlet }: Wire, closeFrame: () => Buffer) {
    this.socket = socket;
    this.outlet = outlet;
    this.closeFrame = closeFrame;
  }

  /** It has sent a Close frame, or sends nothing more at all. */
  get saidGoodbye(): boolean {
    return this.direction.closed || this.hasEnded || this.socket.destroyed;
  }
}

export class Tunnel {
  readonly #client: Side;
  readonly #target: Side;
  readonly #times: TunnelTimes;
  readonly #closed: () => void;
  #phase: 'open' | 'dismissing' | 'ending' = 'open';
  /** One side has ended or closed; what it sent before may still be on its way through a slow other side. */
  #isHalf = false;
  /** Coarse times, ms: the last sign of progress, and the end of what the phase waits for. */
  #progress: number;
  #deadline = Infinity;
  /** What the kernel had not taken when it was last looked at. */
  #queuedBytes = 0;

  /**
   * The caller has the reads of both sockets given to {@link Tunnel.fromClient} and {@link Tunnel.fromTarget}. Both must
   * have an `error` listener.
   * @param closed is called when both connections are closed
   */
  constructor(client: Wire, target: Wire, times: TunnelTimes, closed: () => void) {
    this.#client = new Side(client, closeFrameToClient);
    this.#target = new Side(target, closeFrameToServer);
    this.#times = times;
    this.#closed = closed;
    this.#progress = times.clock.now;
    this.#watch(this.#client, this.#target);
    this.#watch(this.#target, this.#client);
    // One that is being destroyed has its `close` still to come.
    if (client.socket.destroyed || target.socket.destroyed) this.destroy();
  }

  /** Bytes that the client has sent. */
  get bytesIn(): number {
    return this.#client.bytes;
  }

  /** Bytes that the target has sent. */
  get bytesOut(): number {
    return this.#target.bytes;
  }

  /** Bytes of a read, valid during the call. @returns false to read no more for now */
  fromClient(bytes: Buffer, start: number, end: number): boolean {
    return this.#pass(this.#client, this.#target, bytes, start, end);
  }

  /** Bytes of a read, valid during the call. @returns false to read no more for now */
  fromTarget(bytes: Buffer, start: number, end: number): boolean {
    return this.#pass(this.#target, this.#client, bytes, start, end);
  }

  /** Ends both sides with FIN; what the other sides do not close in time is destroyed. */
  end(): void {
    this.#phase = 'ending';
    this.#deadline = this.#times.clock.now + this.#times.closeMs;
    for (const { socket, direction } of [this.#client, this.#target]) {
      direction.end();
      socket.end();
      // What still comes is read and dropped: unread bytes would turn the FIN into a reset.
      socket.resume();
    }
  }

  /** Says goodbye first: a Close frame 1001 to both sides, then, when they have answered or some time has passed, the end. */
  dismiss(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'dismissing';
    this.#deadline = this.#times.clock.now + this.#times.closeMs;
    this.#dismiss(this.#client, this.#target);
    this.#dismiss(this.#target, this.#client);
    this.#endAnswered();
  }

  destroy(): void {
    this.#client.socket.destroy();
    this.#target.socket.destroy();
  }

  /** For the sweep. @param now coarse, ms */
  check(now: number): void {
    this.#lookAtQueues(now);
    const quietMs = now - this.#progress;
    if (this.#phase === 'dismissing') {
      if (now >= this.#deadline) this.end();
    } else if (this.#phase === 'ending') {
      if (now >= this.#deadline && (this.#isEmpty || quietMs >= this.#times.stallMs)) this.destroy();
    } else if (quietMs >= this.#patienceMs) this.destroy();
  }

  get #patienceMs(): number {
    const { idleMs, closeMs, stallMs } = this.#times;
    if (!this.#isHalf) return idleMs;
    return this.#isEmpty ? closeMs : stallMs;
  }

  /** The kernel has all that was given to both. */
  get #isEmpty(): boolean {
    return [this.#client, this.#target].every(({ socket, outlet }) => socket.destroyed || outlet.isEmpty);
  }

  /** A side that takes some of what waits for it is slow, and not gone. */
  #lookAtQueues(now: number): void {
    const queued = this.#client.outlet.queued + this.#target.outlet.queued;
    if (queued !== this.#queuedBytes) this.#progress = now;
    this.#queuedBytes = queued;
  }

  #watch(side: Side, other: Side): void {
    const { socket, outlet } = side;
    outlet.passTo(() => {
      this.#progress = this.#times.clock.now;
      other.socket.resume();
    });
    socket.on('end', () => {
      side.hasEnded = true;
      other.socket.end();
      this.#halve();
      this.#endAnswered();
    });
    socket.on('close', (hadError: boolean) => {
      side.hasClosed = true;
      if (hadError) this.destroy();
      else this.#halve();
      if (other.hasClosed) this.#closed();
    });
  }

  #halve(): void {
    this.#isHalf = true;
    this.#progress = this.#times.clock.now;
  }

  #pass(from: Side, to: Side, bytes: Buffer, start: number, end: number): boolean {
    from.bytes += end - start;
    const passed = from.direction.take(bytes, start, end);
    const goesOn = passed === start || this.#write(to, bytes, start, passed);
    this.#sayGoodbye(from, to);
    this.#endAnswered();
    return goesOn;
  }

  #write(to: Side, bytes: Buffer, start: number, end: number): boolean {
    // After its FIN, or ours, nobody reads it: it is dropped, and no progress.
    if (!to.socket.writable) return true;
    this.#progress = this.#times.clock.now;
    return to.outlet.write(bytes, start, end);
  }

  #dismiss(from: Side, to: Side): void {
    from.direction.dismiss();
    this.#sayGoodbye(from, to);
    from.socket.resume();
  }

  #sayGoodbye(from: Side, to: Side): void {
    if (!from.direction.takeGoodbye()) return;
    const frame = to.closeFrame();
    this.#write(to, frame, 0, frame.length);
  }

  #endAnswered(): void {
    if (this.#phase === 'dismissing' && this.#client.saidGoodbye && this.#target.saidGoodbye) this.end();
  }
}
