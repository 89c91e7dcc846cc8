/** Schedules the streams: one frame each in turn, within the connection's window and the socket's back-pressure. */
import type { ServerStream } from '../stream.ts';
import { DEFAULT_WINDOW, MAX_WINDOW } from './codes.ts';
import type { FrameOutput } from './frame-output.ts';

export class SendTurns {
  readonly #output: FrameOutput;
  /** Streams with data to send, in the order of their turns. */
  readonly #waiting = new Set<ServerStream>();
  #window = DEFAULT_WINDOW;
  #isRunning = false;

  constructor(output: FrameOutput) {
    this.#output = output;
  }

  /** The octets, at most `most`, that the caller may send now; 0 while other streams have their turn. */
  allowance(most: number): number {
    if (this.#output.isFull || (this.#waiting.size > 0 && !this.#isRunning)) return 0;
    return Math.min(most, this.#window);
  }

  spend(octets: number): void {
    this.#window -= octets;
  }

  /** @returns false when the window would exceed the protocol's maximum */
  widen(octets: number): boolean {
    if (this.#window + octets > MAX_WINDOW) return false;
    this.#window += octets;
    this.run();
    return true;
  }

  add(stream: ServerStream): void {
    this.#waiting.add(stream);
  }

  remove(stream: ServerStream): void {
    this.#waiting.delete(stream);
  }

  run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // A stream that is added again moves to the end of the set.
    for (const stream of this.#waiting) {
      if (this.#output.isFull || this.#window <= 0) break;
      this.#waiting.delete(stream);
      stream.sendNext();
      if (stream.isReady) this.#waiting.add(stream);
    }
    this.#isRunning = false;
  }
}
