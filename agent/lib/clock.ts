/** The machine's clocks. */
import { setTimeout as delay } from 'node:timers/promises';

export const systemClock = {
  /** Wall clock, ms since the epoch: only for display. */
  now: (): number => Date.now(),
  /** Monotonic, ms: for durations and deadlines. */
  monotonic: (): number => performance.now(),
  /** Rejects with the signal's reason if that aborts first. */
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw error;
    }
  },
} as const;

/** A wall-clock time in the format of the protocol. */
export const timestamp = (ms: number): string => new Date(ms).toISOString();
