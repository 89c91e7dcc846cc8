/** What a watch hears of the active target, in the order in which it happens. */
import { z } from 'zod';
import type { Target, TargetListener } from './target.ts';

/** What has happened since the tally before. Several in a row may be told as one. */
export const Tally = z.object({
  /** Answers that came or were owed, and those of them that were 500 and above, broken, or never came. */
  answers: z.int(),
  faults: z.int(),
  /** An answer came, good or bad; then {@link Tally.refusals} are those after the last one. */
  came: z.boolean(),
  /** Connections refused. */
  refusals: z.int(),
});
export type Tally = z.infer<typeof Tally>;

export type TallyListener = (tally: Tally) => void;

/** Two in a row as one. */
export function addTally(first: Tally, then: Tally): Tally {
  return {
    answers: first.answers + then.answers,
    faults: first.faults + then.faults,
    came: first.came || then.came,
    refusals: then.came ? then.refusals : first.refusals + then.refusals,
  };
}

/** What was before anyone listened. Of several copies that refuse, the one that refused least counts. */
export function openingTally(targets: readonly Target[]): Tally {
  const counts = targets.map((target) => target.counts('active', 0));
  const sum = (of: (one: (typeof counts)[number]) => number): number =>
    counts.reduce((total, one) => total + of(one), 0);
  return {
    answers: sum(({ answers }) => answers),
    faults: sum(({ faults }) => faults),
    came: sum(({ answers, faults, errors }) => answers - faults + errors) > 0,
    refusals: Math.min(...targets.map(({ refusals }) => refusals)),
  };
}

/** One listener of a target for all that listen; null for none. */
export function tellAll(listeners: readonly TallyListener[]): TargetListener | null {
  if (listeners.length === 0) return null;
  const tell = (tally: Tally): void => {
    for (const listener of listeners) listener(tally);
  };
  return {
    answered: (faulty, came) => tell({ answers: 1, faults: faulty ? 1 : 0, came, refusals: 0 }),
    refused: () => tell({ answers: 0, faults: 0, came: false, refusals: 1 }),
  };
}
