/**
 * When things arrived at a process that shares its processor with others. What it reads after it had to wait may have
 * been there all the while: the wait is the machine's, not that of who sent it.
 */
import { nowMs } from '../clock.ts';

const BEAT_MS = 5;
/** Of the time between two beats, a process that keeps up with what comes is idle for more than this share. */
const KEEPS_UP = 0.2;

export class Pulse {
  /** The last moment before which nothing can have waited to be read. */
  #before = nowMs();
  #last = nowMs();
  #idle = performance.nodeTiming.idleTime;

  constructor() {
    setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  /** The earliest moment at which what is read now can have come, ms: up to two beats ago unless this process waited. */
  arrivedAt(): number {
    return this.#before;
  }

  #beat(): void {
    const [now, idle] = [nowMs(), performance.nodeTiming.idleTime];
    if (idle - this.#idle > KEEPS_UP * (now - this.#last)) this.#before = this.#last;
    this.#last = now;
    this.#idle = idle;
  }
}
