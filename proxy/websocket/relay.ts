/**
 * One direction of a WebSocket between two streams: forwards bytes with back-pressure, and can end with a Close frame.
 */
import type { Duplex } from 'node:stream';
import { Direction } from './direction.ts';

export class Relay {
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly #closeFrame: () => Buffer;
  readonly #direction = new Direction();
  #answered: () => void = () => undefined;

  /** @param closeFrame makes a Close frame in the form that `to` must receive */
  constructor(from: Duplex, to: Duplex, closeFrame: () => Buffer) {
    this.#from = from;
    this.#to = to;
    this.#closeFrame = closeFrame;
    from.on('data', (bytes: Buffer) => this.#pass(bytes));
    from.on('end', () => to.end());
    to.on('drain', () => from.resume());
    // It may have been paused before it had a `data` listener.
    from.resume();
  }

  /** True when `from` has sent a Close frame or cannot send anything more. */
  get saidGoodbye(): boolean {
    return this.#direction.closed || this.#from.readableEnded || this.#from.destroyed;
  }

  /**
   * Sends a Close frame behind the current frame, in place of everything that follows.
   * @param answered called whenever {@link Relay.saidGoodbye} may have changed
   */
  dismiss(answered: () => void): void {
    this.#answered = answered;
    this.#from.on('end', answered);
    this.#direction.dismiss();
    this.#sayGoodbye();
    this.#from.resume();
  }

  /** Ends the direction with FIN. Input is still read, but dropped: unread bytes would turn the FIN into a reset. */
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
