/** What a watch reports of the active target, in order. */
import { z } from 'zod';
import type { Target, TargetListener } from './target.ts';

/** What has happened since the previous tally. Several in a row may be combined into one. */
export const Tally = z.object({
  /** Responses that came or were due, and how many of those were 500 and above, broken or missing. */
  answers: z.int(),
  faults: z.int(),
  /** A response came, good or bad; then {@link Tally.refusals} counts only the refusals after the last one. */
  came: z.boolean(),
  /** Connections refused. */
  refusals: z.int(),
});
export type Tally = z.infer<typeof Tally>;

export type TallyListener = (tally: Tally) => void;

/** Combines two consecutive tallies. */
export function addTally(first: Tally, then: Tally): Tally {
  return {
    answers: first.answers + then.answers,
    faults: first.faults + then.faults,
    came: first.came || then.came,
    refusals: then.came ? then.refusals : first.refusals + then.refusals,
  };
}

/** What happened before anyone listened. Of several copies that refuse, the one that refused least counts. */
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

/** Combines all listeners of a target into one; null when there are none. */
export function listenerForAll(listeners: readonly TallyListener[]): TargetListener | null {
  if (listeners.length === 0) return null;
  const tell = (tally: Tally): void => {
    for (const listener of listeners) listener(tally);
  };
  return {
    answered: (faulty, came) => tell({ answers: 1, faults: faulty ? 1 : 0, came, refusals: 0 }),
    refused: () => tell({ answers: 0, faults: 0, came: false, refusals: 1 }),
  };
}
