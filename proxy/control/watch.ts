/**
 * The judge of a watch window: looks at what the active target does and says at once when it is bad. Pure but for what it
 * remembers.
 */
import type { WatchAnswer, WatchRequest } from '../../protocol/proxy-admin.ts';
import type { Tally } from '../upstream/tally.ts';

type Rule = Pick<WatchRequest, 'refusals' | 'errorRatio' | 'errorFactor' | 'minRequests'>;

/** Answers, and those that were no good. */
export interface Record {
  readonly answers: number;
  readonly faults: number;
}

export class Watch {
  readonly #rule: Rule;
  readonly #before: Record | null;
  #answers = 0;
  #faults = 0;
  /** Refused connections without an answer between. */
  #row = 0;

  /** @param before what the target before it did; null: there was none, or nothing is known of it */
  constructor(rule: Rule, before: Record | null) {
    this.#rule = rule;
    this.#before = before;
  }

  /** Null while nothing speaks against it. */
  add({ answers, faults, came, refusals }: Tally): WatchAnswer | null {
    this.#answers += answers;
    this.#faults += faults;
    this.#row = came ? refusals : this.#row + refusals;
    if (this.#row >= this.#rule.refusals) {
      return { verdict: 'refuses', reason: `It refused ${this.#row} connections in a row.` };
    }
    return this.#judgeErrors();
  }

  /** The window is over. */
  good(): WatchAnswer {
    const { answers, faults } = this.#record();
    return { verdict: 'good', reason: `${faults} of its ${answers} answers were errors.` };
  }

  #judgeErrors(): WatchAnswer | null {
    const { errorRatio, errorFactor, minRequests } = this.#rule;
    const now = this.#record();
    const before = this.#before === null ? 0 : share(this.#before);
    if (now.answers < minRequests) return null;
    if (share(now) <= errorRatio || share(now) <= errorFactor * before) return null;
    const than = this.#before === null ? '' : `, ${percent(before)} of those of the target before it`;
    const sentence = `${now.faults} of its ${now.answers} answers (${percent(share(now))}) were errors${than}.`;
    return { verdict: 'errors', reason: sentence };
  }

  #record(): Record {
    return { answers: this.#answers, faults: this.#faults };
  }
}

function share({ answers, faults }: Record): number {
  return answers === 0 ? 0 : faults / answers;
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}
