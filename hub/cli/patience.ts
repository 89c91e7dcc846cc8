/** How long those who follow something bear a hub that does not answer: as long as one takes to start again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';

/** Before each new attempt without news in between, ms. */
export const WAITS = [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000];

interface Patience {
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Told once, when the first attempt fails. */
  readonly onAway: (error: OrkestrError) => void;
}

/**
 * The answer, as soon as there is one.
 * @throws OrkestrError what trying again does not mend, or when the hub stays away
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
