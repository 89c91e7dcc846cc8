/**
 * Estimates when data arrived at a process that shares its processor with others. What it reads after waiting for the
 * processor may have been there all along: then the delay is the machine's, not the sender's.
 */
import { nowMs } from '../clock.ts';

const BEAT_MS = 5;
/** A process that keeps up with its input is idle for more than this share of the time between two beats. */
const KEEPS_UP = 0.2;

export class Pulse {
  /** Nothing that is read now can have waited since before this moment. */
  #before = nowMs();
  #last = nowMs();
  #idle = performance.nodeTiming.idleTime;

  constructor() {
    setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  /** The earliest time at which data read now can have arrived, ms: up to two beats ago unless this process waited. */
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
