/** Which stream sends next: one frame each in turn, within the connection's window and what the socket takes. */
import type { ServerStream } from '../stream.ts';
import { DEFAULT_WINDOW, MAX_WINDOW } from './codes.ts';
import type { FrameOutput } from './frame-output.ts';

export class SendTurns {
  readonly #output: FrameOutput;
  /** Streams with something to send, in the order of their turns. */
  readonly #waiting = new Set<ServerStream>();
  #window = DEFAULT_WINDOW;
  #isRunning = false;

  constructor(output: FrameOutput) {
    this.#output = output;
  }

  /** Octets that may be sent now, at most so many; none while others wait, unless it is their turn. */
  allowance(most: number): number {
    if (this.#output.isFull || (this.#waiting.size > 0 && !this.#isRunning)) return 0;
    return Math.min(most, this.#window);
  }

  spend(octets: number): void {
    this.#window -= octets;
  }

  /** @returns false when the window is larger than the protocol lets it be */
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
    // A stream that is put back comes last.
    for (const stream of this.#waiting) {
      if (this.#output.isFull || this.#window <= 0) break;
      this.#waiting.delete(stream);
      stream.sendNext();
      if (stream.isReady) this.#waiting.add(stream);
    }
    this.#isRunning = false;
  }
}
