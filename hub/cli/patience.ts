/** Retries for commands that follow something: long enough for the hub to restart. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';

/** Pauses before each further attempt without news in between, ms. */
export const WAITS = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000];

interface Patience {
  /** Aborts the wait. */
  readonly signal: AbortSignal;
  /** Called once, when the first attempt fails. */
  readonly onAway: (error: OrkestrError) => void;
}

/**
 * The result of the first successful attempt.
 * @throws OrkestrError when a retry cannot help, or when the hub stays unreachable
 */
export async function askPatiently<T>(ask: () => Promise<T>, { signal, onAway }: Patience): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      const wait = WAITS[attempt];
      if (wait === undefined || !(error instanceof OrkestrError) || !error.kind.retry) throw error;
      if (attempt === 0) onAway(error);
      await sleep(wait, undefined, { signal });
    }
  }
}
