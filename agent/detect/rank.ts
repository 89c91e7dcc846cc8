/** Which of several results decides: the one pure function that ranks them. */
import { CONFIDENCES } from '../../protocol/steps.ts';
import type { Confidence } from '../../protocol/steps.ts';

/** What became of one detector. */
export type Outcome<F extends { readonly confidence: Confidence }> = {
  readonly detector: { readonly name: string; readonly best: Confidence };
} & (
  | { readonly kind: 'found'; readonly finding: F }
  | { readonly kind: 'missed'; readonly why: string }
  | { readonly kind: 'failed'; readonly error: unknown }
);

/**
 * All that found something or failed, the one that decides first: by confidence, then by the order they came in. A failure
 * stands where the best that its detector could have found would stand, so that a broken manifest is never passed over
 * for a weaker guess, and never stops what is surer anyway.
 */
export function rank<F extends { readonly confidence: Confidence }>(
  outcomes: readonly Outcome<F>[],
): Exclude<Outcome<F>, { kind: 'missed' }>[] {
  const weight = (outcome: Exclude<Outcome<F>, { kind: 'missed' }>): number =>
    CONFIDENCES.indexOf(outcome.kind === 'found' ? outcome.finding.confidence : outcome.detector.best);
  return outcomes.filter((outcome) => outcome.kind !== 'missed').toSorted((a, b) => weight(b) - weight(a));
}
