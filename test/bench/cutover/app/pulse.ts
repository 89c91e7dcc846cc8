/**
 * When things arrived at a process that shares its processor with others. What it reads after it had to wait may have
 * been there all the while: the wait is the machine's, not that of who sent it.
 */
import { nowMs } from '../clock.ts';

const BEAT_MS = 5;

export class Pulse {
  #before = nowMs();
  #last = nowMs();

  constructor() {
    setInterval(() => {
      this.#before = this.#last;
      this.#last = nowMs();
    }, BEAT_MS).unref();
  }

  /** The earliest moment at which what is read now can have come, ms: up to two beats ago unless this process waited. */
  arrivedAt(): number {
    return this.#before;
  }
}
