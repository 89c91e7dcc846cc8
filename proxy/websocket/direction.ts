/** What passes of one direction of a WebSocket, and the moment when our own Close frame goes in place of all the rest. */
import { FrameTracker } from './frames.ts';

export class Direction {
  readonly #frames = new FrameTracker();
  /** `dismissing`: only the present frame is still passed on. `dropping`: nothing is. */
  #phase: 'open' | 'dismissing' | 'dropping' = 'open';
  #isDue = false;

  /** Its sender has sent a Close frame. */
  get closed(): boolean {
    return this.#frames.closed;
  }

  /**
   * Follows bytes of the sender.
   * @returns the offset up to which they pass. {@link Direction.takeGoodbye} is to be asked behind them
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

  /** True once, when the receiver is to get our Close frame behind what has passed. */
  takeGoodbye(): boolean {
    const isDue = this.#isDue;
    this.#isDue = false;
    return isDue;
  }

  /** A Close frame is due behind the present frame, in place of all that follows it. */
  dismiss(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'dismissing';
    if (this.#frames.atBoundary) this.#drop();
  }

  /** Nothing passes any more. */
  end(): void {
    this.#phase = 'dropping';
  }

  #drop(): void {
    this.#phase = 'dropping';
    // One of the sender's own went before.
    this.#isDue = !this.#frames.closed;
  }
}
