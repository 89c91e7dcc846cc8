/** One direction of a WebSocket: bytes from one connection to the other, with back-pressure, and a polite end. */
import type { Duplex } from 'node:stream';
import { FrameTracker } from './frames.ts';

export class Relay {
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly #closeFrame: () => Buffer;
  readonly #frames = new FrameTracker();
  /** Nothing more is passed on once the present frame is through, or at all. */
  #phase: 'open' | 'dismissing' | 'dropping' = 'open';
  #answered: () => void = () => undefined;

  /** @param closeFrame as `to` must get it */
  constructor(from: Duplex, to: Duplex, closeFrame: () => Buffer) {
    this.#from = from;
    this.#to = to;
    this.#closeFrame = closeFrame;
    from.on('data', (bytes: Buffer) => this.#pass(bytes));
    from.on('end', () => to.end());
    to.on('drain', () => from.resume());
    // It may have been paused while nobody was there to take its bytes.
    from.resume();
  }

  /** `from` has sent a Close frame, or sends nothing more at all. */
  get saidGoodbye(): boolean {
    return this.#frames.closed || this.#from.readableEnded || this.#from.destroyed;
  }

  /**
   * Puts a Close frame behind the present frame, in place of all that follows it.
   * @param answered called whenever {@link Relay.saidGoodbye} may have changed
   */
  dismiss(answered: () => void): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'dismissing';
    this.#answered = answered;
    this.#from.on('end', answered);
    if (this.#frames.atBoundary) this.#goodbye();
    this.#from.resume();
  }

  /** Ends the direction with FIN. What still comes in is dropped: unread bytes would turn the FIN into a reset. */
  end(): void {
    this.#phase = 'dropping';
    this.#to.end();
    this.#from.resume();
  }

  #pass(bytes: Buffer): void {
    if (this.#phase === 'open') {
      this.#frames.take(bytes);
      this.#write(bytes);
      return;
    }
    let taken = 0;
    if (this.#phase === 'dismissing') {
      taken = this.#frames.take(bytes, 0, true);
      this.#write(bytes.subarray(0, taken));
      if (this.#frames.atBoundary) this.#goodbye();
    }
    this.#frames.take(bytes, taken);
    this.#answered();
  }

  #goodbye(): void {
    this.#phase = 'dropping';
    // One of its own went before.
    if (!this.#frames.closed) this.#to.write(this.#closeFrame());
  }

  #write(bytes: Buffer): void {
    if (!this.#to.write(bytes)) this.#from.pause();
  }
}
