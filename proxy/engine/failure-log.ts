/** Logs failures: the first of each kind per upstream at once, the rest of the same second as a count. */
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../clock.ts';
import type { Failure } from '../http/pages.ts';

const WINDOW_MS = 1000;
/** Limit of remembered pairs of upstream and code. Beyond it all are forgotten, which costs a few extra log lines. */
const REMEMBERED = 2000;

interface Window {
  readonly since: number;
  suppressed: number;
}

export class FailureLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  record(upstream: string, target: string | null, failure: Failure, cause: unknown): void {
    const key = `${upstream} ${failure.code}`;
    const now = this.#clock.monotonic();
    const window = this.#windows.get(key);
    if (window && now - window.since < WINDOW_MS) {
      window.suppressed += 1;
      return;
    }
    if (this.#windows.size >= REMEMBERED) this.#windows.clear();
    this.#windows.set(key, { since: now, suppressed: 0 });
    const { code, status } = failure;
    const reason =
      cause instanceof Error ? `${(cause as NodeJS.ErrnoException).code ?? cause.name}: ${cause.message}` : cause;
    const fields = { code, status, upstream, target, reason, suppressedBefore: window?.suppressed ?? 0 };
    this.#log.warn(fields, 'a request failed');
  }
}
