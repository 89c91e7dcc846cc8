/** One call with a time limit, retried while what it depends on (engine, proxy, git server) does not respond. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock } from './ports.ts';

/**
 * Errors that say nothing about the deployment: a dependency did not respond, but may do so in a moment. The value is
 * how long after the first call the error is still retried, ms.
 */
const PASSING: ReadonlyMap<ErrorCode, number> = new Map([
  ['ORK_ENGINE_UNREACHABLE', Infinity],
  ['ORK_ENGINE_TIMEOUT', Infinity],
  ['ORK_PROXY_UNREACHABLE', Infinity],
  // Usually the hub itself, whose git remote restarts with it. But a mistyped host must not keep a person waiting.
  ['ORK_REPO_UNREACHABLE', 60_000],
  // A retried build comes out of the cache.
  ['ORK_REGISTRY_UNREACHABLE', 60_000],
]);

export const RETRY_PACE = { baseMs: 500, capMs: 10_000 } as const;

/** How long a call may take to react to an abort, ms, unless the attempt sets another limit. Then it is abandoned. */
const ABANDON_MS = 10_000;

/**
 * A try that was aborted within this time had no chance to report an error of its own: engine and proxy get half of it
 * per call, ms.
 */
const CUT_SHORT_MS = 60_000;

/** Whether the error only says who did not respond, and nothing about the deployment. */
export const isPassing = (error: unknown): error is OrkestrError =>
  error instanceof OrkestrError && PASSING.has(error.code);

interface Attempt<T> {
  act(signal: AbortSignal): Promise<T>;
  readonly limitMs: number;
  /** How long a call may go on after an abort. */
  readonly abandonMs?: number;
  /** Makes the error to throw when the time is up. */
  timeoutError(last: unknown): OrkestrError;
  /** Aborts the attempt from outside; its reason is then thrown. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
  onRetry(error: OrkestrError, waitMs: number): void;
}

/** @throws what `act` throws, the signal's reason, or the time limit's error */
export async function attempt<T>(options: Attempt<T>): Promise<T> {
  const { clock, limitMs } = options;
  const timeUp = new AbortController();
  const settled = new AbortController();
  const signal = AbortSignal.any([options.signal, timeUp.signal]);
  const onTime = clock.sleep(limitMs, settled.signal).then(
    () => timeUp.abort(),
    () => undefined, // settled before the limit
  );
  try {
    return await tryUntil(options, signal);
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason;
    if (timeUp.signal.aborted) throw options.timeoutError(error);
    throw error;
  } finally {
    settled.abort();
    await onTime;
  }
}

async function tryUntil<T>(options: Attempt<T>, signal: AbortSignal): Promise<T> {
  const { clock } = options;
  const began = clock.monotonic();
  let before: OrkestrError | null = null;
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    const tried = clock.monotonic();
    try {
      return await abandonable(options, signal);
    } catch (error) {
      if (signal.aborted && before !== null && clock.monotonic() - tried < CUT_SHORT_MS) throw before;
      if (signal.aborted || !(error instanceof OrkestrError)) throw error;
      if (clock.monotonic() - began >= (PASSING.get(error.code) ?? 0)) throw error;
      before = error;
      const waitMs = backoffMs(failures, RETRY_PACE, options.random);
      options.onRetry(error, waitMs);
      try {
        await clock.sleep(waitMs, signal);
      } catch {
        throw error; // aborted while waiting: the last real error is the better evidence
      }
    }
  }
}

/** The result of the call, or a rejection some time after the abort if the call ignores it. */
async function abandonable<T>(options: Attempt<T>, signal: AbortSignal): Promise<T> {
  const { clock, abandonMs = ABANDON_MS } = options;
  const over = new AbortController();
  const left = new Promise<never>((_, reject) => {
    const giveUp = (): void => {
      clock.sleep(abandonMs, over.signal).then(
        () => reject(new OrkestrError('ORK_INTERNAL', 'The step did not stop when it was told to.')),
        () => undefined, // the call ended in time
      );
    };
    signal.addEventListener('abort', giveUp, { once: true, signal: over.signal });
  });
  try {
    return await Promise.race([options.act(signal), left]);
  } finally {
    over.abort();
  }
}
