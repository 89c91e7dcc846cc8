/** Requests at a fixed rate, each on a new connection and sent when due, however many are unanswered. */
import { ask } from '../../integration/proxy/load.ts';

const TICK_MS = 2;

export class Visits {
  sent = 0;
  /** Responses other than 200: the proxy served, but did not know the app. */
  wrong = 0;
  /** Everything other than a 200 response, and how often. */
  readonly faults = new Map<string, number>();
  readonly #port: number;
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  readonly #startedAt = performance.now();
  #awaited: { readonly since: number; readonly resolve: (at: number) => void } | null = null;

  /** @param rate requests per second */
  constructor(port: number, rate: number) {
    this.#port = port;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#startedAt) / 1000) * rate;
      while (this.sent < due) this.#send();
    }, TICK_MS);
  }

  /** Time of the first response to a request sent after `since`; both as performance.now() returns it. */
  firstAnswerOf(since: number): Promise<number> {
    return new Promise((resolve) => {
      this.#awaited = { since, resolve };
    });
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }

  #send(): void {
    this.sent += 1;
    const visit = this.#visit().finally(() => this.#open.delete(visit));
    this.#open.add(visit);
  }

  async #visit(): Promise<void> {
    const sentAt = performance.now();
    try {
      await ask(this.#port);
      if (this.#awaited === null || sentAt < this.#awaited.since) return;
      this.#awaited.resolve(performance.now());
      this.#awaited = null;
    } catch (error) {
      const fault = String(error);
      if (/^Error: \d{3} /.test(fault)) this.wrong += 1;
      this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    }
  }
}
