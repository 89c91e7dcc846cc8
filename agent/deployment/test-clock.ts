/** For tests: clocks that wait for nothing. */
import type { Clock } from './ports.ts';
import { systemClock } from '../lib/clock.ts';

/**
 * Time that passes only while everything sleeps: the earliest sleeper wakes once nothing else is pending. Real
 * connections get a moment, or a minute of tries would be over before the kernel of a busy machine has answered one.
 */
export class VirtualClock implements Clock {
  #time = 0;
  readonly #sleepers: { until: number; wake: () => void }[] = [];

  now(): number {
    return Date.UTC(2030, 0, 1) + this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const sleeper = { until: this.#time + ms, wake: resolve };
      const abort = (): void => {
        this.#remove(sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      sleeper.wake = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      this.#sleepers.push(sleeper);
      setTimeout(() => this.#advance(), 1);
    });
  }

  #remove(sleeper: { until: number; wake: () => void }): void {
    const at = this.#sleepers.indexOf(sleeper);
    if (at >= 0) this.#sleepers.splice(at, 1);
  }

  #advance(): void {
    const next = this.#sleepers.toSorted((a, b) => a.until - b.until)[0];
    if (next === undefined) return;
    this.#remove(next);
    this.#time = Math.max(this.#time, next.until);
    next.wake();
  }
}

/** Sleeps of less than a minute end at once; longer ones are time limits, which only end by their signal. */
export function hastyClock(): Clock {
  let passed = 0;
  return {
    now: () => Date.now(),
    monotonic: () => passed,
    async sleep(ms, signal) {
      if (ms >= 60_000) return systemClock.sleep(ms, signal);
      signal?.throwIfAborted();
      passed += ms;
      await systemClock.sleep(0, signal);
    },
  };
}
