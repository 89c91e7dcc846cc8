/**
 * The judge of a watch window: follows the active target and reports at once when it goes bad. Pure except for its
 * counts.
 */
import type { WatchAnswer, WatchRequest } from '../../protocol/proxy-admin.ts';
import type { Tally } from '../upstream/tally.ts';

type Rule = Pick<WatchRequest, 'refusals' | 'errorRatio' | 'errorFactor' | 'minRequests'>;

/** Responses, and how many of them were errors. */
export interface Record {
  readonly answers: number;
  readonly faults: number;
}

export class Watch {
  readonly #rule: Rule;
  readonly #before: Record | null;
  #answers = 0;
  #faults = 0;
  /** Connections refused in a row, without a response between them. */
  #row = 0;

  /** @param before the record of the previous target; null: there was none, or it is unknown */
  constructor(rule: Rule, before: Record | null) {
    this.#rule = rule;
    this.#before = before;
  }

  /** Returns null while the target is fine. */
  add({ answers, faults, came, refusals }: Tally): WatchAnswer | null {
    this.#answers += answers;
    this.#faults += faults;
    this.#row = came ? refusals : this.#row + refusals;
    if (this.#row >= this.#rule.refusals) {
      return { verdict: 'refuses', reason: `It refused ${this.#row} connections in a row.` };
    }
    return this.#judgeErrors();
  }

  /** The answer when the window is over. */
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
