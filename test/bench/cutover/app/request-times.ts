/** When requests to a version were sent and accepted: which of them should have gone to the next version. */
import type { IncomingMessage } from 'node:http';
import type { Pulse } from './pulse.ts';

/** How long after the flip's answer an old version may still accept requests, ms: those in flight when it flipped. */
const LATE_MS = 50;
const KEPT_LINES = 10;

/** A request, with times of the bench's clock, ms. */
interface Times {
  readonly what: string;
  /** NaN when the client did not say. */
  readonly sent: number;
  readonly takenUp: number;
}

/** Requests that reached a version after the flip away from it. */
export interface Strays {
  /** Requests that it accepted more than 50 ms after the flip was answered. */
  readonly late: number;
  /** Requests that had not even been sent when the flip was answered. */
  readonly misrouted: number;
  /** Descriptions of the first few. */
  readonly said: readonly string[];
}

export class RequestTimes {
  readonly #pulse: Pick<Pulse, 'arrivedAt'>;
  readonly #times: Times[] = [];

  constructor(pulse: Pick<Pulse, 'arrivedAt'>) {
    this.#pulse = pulse;
  }

  /** Call this on the head of a request: how long a body takes is up to its client. */
  takeUp({ method, url, headers }: IncomingMessage): void {
    const sent = Number(headers['x-sent'] ?? NaN);
    this.#times.push({ what: `${method} ${url}`, sent, takenUp: this.#pulse.arrivedAt() });
  }

  /** @param flipped when the flip away from this version was answered, ms */
  strays(flipped: number): Strays {
    const late = this.#times.filter(({ takenUp }) => takenUp > flipped + LATE_MS);
    const misrouted = this.#times.filter(({ sent }) => sent > flipped);
    const said = [...new Set([...misrouted, ...late])]
      .slice(0, KEPT_LINES)
      .map(
        ({ what, sent, takenUp }) =>
          `${what}, sent ${(sent - flipped).toFixed(1)} and taken up ${(takenUp - flipped).toFixed(1)} ms after the flip`,
      );
    return { late: late.length, misrouted: misrouted.length, said };
  }
}
