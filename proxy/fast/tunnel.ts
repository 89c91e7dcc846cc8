/**
 * Two connections tied together after `101 Switching Protocols`: bytes read from one are written to the other at once,
 * out of the shared read buffer. The sweep enforces the time limits, so no timers are needed.
 */
import type { Socket } from 'node:net';
import type { Outlet, Wire } from '../net/outlet.ts';
import { closeFrameToClient, closeFrameToServer } from '../websocket/close-frame.ts';
import { Direction } from '../websocket/direction.ts';

interface TunnelTimes {
  /** Coarse monotonic time, ms. */
  readonly clock: { readonly now: number };
  /** Silence in both directions after which the tunnel is closed, ms. */
  readonly idleMs: number;
  /** How long to wait for the other side after one side ended, a Close frame was sent, or the proxy sent FIN, ms. */
  readonly closeMs: number;
  /** Replaces `closeMs` while bytes are queued for a slow side; counts from the last byte that it took, ms. */
  readonly stallMs: number;
}

/** One end of the tunnel, and the direction that it sends. */
class Side {
  readonly socket: Socket;
  readonly outlet: Outlet;
  readonly direction = new Direction();
  /** Makes a Close frame in the form that this side must receive. */
  readonly closeFrame: () => Buffer;
  /** Bytes read from this side. */
  bytes = 0;
  hasEnded = false;
  hasClosed = false;

  constructor({ socket, outlet }: Wire, closeFrame: () => Buffer) {
    this.socket = socket;
    this.outlet = outlet;
    this.closeFrame = closeFrame;
  }

  /** True when this side has sent a Close frame or cannot send anything more. */
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
  /** One side has ended or closed; what it sent before may still be draining to a slow other side. */
  #isHalf = false;
  /** Coarse monotonic times, ms: the last progress, and the deadline of the present phase. */
  #progress: number;
  #deadline = Infinity;
  /** Bytes that the kernel had not taken at the last check. */
  #queuedBytes = 0;

  /**
   * The caller must pass the reads of the sockets to {@link Tunnel.fromClient} and {@link Tunnel.fromTarget}. Both
   * sockets must have an `error` listener.
   * @param closed called when both connections are closed
   */
  constructor(client: Wire, target: Wire, times: TunnelTimes, closed: () => void) {
    this.#client = new Side(client, closeFrameToClient);
    this.#target = new Side(target, closeFrameToServer);
    this.#times = times;
    this.#closed = closed;
    this.#progress = times.clock.now;
    this.#watch(this.#client, this.#target);
    this.#watch(this.#target, this.#client);
    // The `close` event of a socket that is being destroyed is still to come.
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

  /** Forwards the bytes of one read, valid during the call. @returns false to pause reading */
  fromClient(bytes: Buffer, start: number, end: number): boolean {
    return this.#pass(this.#client, this.#target, bytes, start, end);
  }

  /** Forwards the bytes of one read, valid during the call. @returns false to pause reading */
  fromTarget(bytes: Buffer, start: number, end: number): boolean {
    return this.#pass(this.#target, this.#client, bytes, start, end);
  }

  /** Sends FIN to both sides; a connection that its other end does not close in time is destroyed. */
  end(): void {
    this.#phase = 'ending';
    this.#deadline = this.#times.clock.now + this.#times.closeMs;
    for (const { socket, direction } of [this.#client, this.#target]) {
      direction.end();
      socket.end();
      // Incoming bytes are read and dropped: unread bytes would turn the FIN into a reset.
      socket.resume();
    }
  }

  /** Sends a Close frame 1001 to both sides, and ends the tunnel when both have answered or `closeMs` has passed. */
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

  /** Enforces the time limits; called by the sweep. @param now coarse monotonic time, ms */
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

  /** True when the kernel has taken everything written to both sides. */
  get #isEmpty(): boolean {
    return [this.#client, this.#target].every(({ socket, outlet }) => socket.destroyed || outlet.isEmpty);
  }

  /** A side that takes some of its queued bytes is slow, not gone. */
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
    // After its FIN, or ours, nobody reads these bytes: they are dropped, and are not progress.
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
