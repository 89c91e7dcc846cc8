/** Ranks the results of several detectors: a pure function. */
import { CONFIDENCES } from '../../protocol/steps.ts';
import type { Confidence } from '../../protocol/steps.ts';

/** Result of one detector. */
export type Outcome<F extends { readonly confidence: Confidence }> = {
  readonly detector: { readonly name: string; readonly best: Confidence };
} & (
  | { readonly kind: 'found'; readonly app: F }
  | { readonly kind: 'missed'; readonly why: string }
  | { readonly kind: 'failed'; readonly error: unknown }
);

/**
 * All apps found and failures, the deciding one first: by confidence, then in the given order. A failure ranks as the
 * best that its detector could have found, so that a broken manifest never loses to a weaker guess, and never overrides
 * a more certain result.
 */
export function rank<F extends { readonly confidence: Confidence }>(
  outcomes: readonly Outcome<F>[],
): Exclude<Outcome<F>, { kind: 'missed' }>[] {
  const weight = (outcome: Exclude<Outcome<F>, { kind: 'missed' }>): number =>
    CONFIDENCES.indexOf(outcome.kind === 'found' ? outcome.app.confidence : outcome.detector.best);
  return outcomes.filter((outcome) => outcome.kind !== 'missed').toSorted((a, b) => weight(b) - weight(a));
}
