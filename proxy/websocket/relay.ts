/** One direction of a WebSocket between two streams: bytes from the one to the other, with back-pressure, and a polite end. */
import type { Duplex } from 'node:stream';
import { Direction } from './direction.ts';

export class Relay {
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly #closeFrame: () => Buffer;
  readonly #direction = new Direction();
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
    return this.#direction.closed || this.#from.readableEnded || this.#from.destroyed;
  }

  /**
   * Puts a Close frame behind the present frame, in place of all that follows it.
   * @param answered called whenever {@link Relay.saidGoodbye} may have changed
   */
  dismiss(answered: () => void): void {
    this.#answered = answered;
    this.#from.on('end', answered);
    this.#direction.dismiss();
    this.#sayGoodbye();
    this.#from.resume();
  }

  /** Ends the direction with FIN. What still comes in is dropped: unread bytes would turn the FIN into a reset. */
  end(): void {
    this.#direction.end();
    this.#to.end();
    this.#from.resume();
  }

  #pass(bytes: Buffer): void {
    const passed = this.#direction.take(bytes, 0, bytes.length);
    if (passed > 0 && !this.#to.write(bytes.subarray(0, passed))) this.#from.pause();
    this.#sayGoodbye();
    this.#answered();
  }

  #sayGoodbye(): void {
    if (this.#direction.takeGoodbye()) this.#to.write(this.#closeFrame());
  }
}
