/** One direction of a WebSocket: decides which bytes are forwarded, and when our own Close frame replaces the rest. */
import { FrameTracker } from './frames.ts';

export class Direction {
  readonly #frames = new FrameTracker();
  /** `dismissing`: only the rest of the current frame is forwarded. `dropping`: nothing is. */
  #phase: 'open' | 'dismissing' | 'dropping' = 'open';
  #isDue = false;

  /** True when the sender has sent a Close frame. */
  get closed(): boolean {
    return this.#frames.closed;
  }

  /**
   * Tracks the frames in bytes from the sender.
   * @returns the offset up to which the bytes are to be forwarded. After that the caller must check
   *   {@link Direction.takeGoodbye}
   */
  take(bytes: Uint8Array, start: number, end: number): number {
    if (this.#phase === 'open') return this.#frames.take(bytes, start, end);
    let passed = start;
    if (this.#phase === 'dismissing') {
      passed = this.#frames.take(bytes, start, end, true);
      if (this.#frames.atBoundary) this.#drop();
    }
    this.#frames.take(bytes, passed, end);
    return passed;
  }

  /** Returns true once, when the receiver has to get our Close frame behind the forwarded bytes. */
  takeGoodbye(): boolean {
    const isDue = this.#isDue;
    this.#isDue = false;
    return isDue;
  }

  /** Schedules a Close frame behind the current frame, in place of everything that follows. */
  dismiss(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'dismissing';
    if (this.#frames.atBoundary) this.#drop();
  }

  /** Forwards nothing any more. */
  end(): void {
    this.#phase = 'dropping';
  }

  #drop(): void {
    this.#phase = 'dropping';
    // The sender's own Close frame was forwarded already.
    this.#isDue = !this.#frames.closed;
  }
}
