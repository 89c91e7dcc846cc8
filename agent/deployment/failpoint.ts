/**
 * Fault injection: the agent kills itself at a named point, as a power cut would, so that tests can check what is left.
 */
import { STEP_NAMES } from '../../protocol/steps.ts';
import type { StepName } from '../../protocol/steps.ts';

/**
 * `begun`: the intent is in the journal, nothing has been done. `acted`: the effect exists, the journal does not know.
 * `done`: the result is in the journal. `undo`: the effect was undone, the journal does not know.
 */
const FAILPOINTS = ['begun', 'acted', 'done', 'undo'] as const;
export type FailpointName = `${StepName}:${(typeof FAILPOINTS)[number]}`;

export interface Failpoint {
  /** Kills the process here if this is the chosen point. */
  hit(point: FailpointName): void;
}

const NO_FAILPOINT: Failpoint = { hit() {} };

export const ALL_FAILPOINTS: readonly FailpointName[] = STEP_NAMES.flatMap((step) =>
  FAILPOINTS.map((point): FailpointName => `${step}:${point}`),
);

/** SIGKILL, not exit: no handler, no flush, no `finally` runs. */
export const makeFailpoint = (chosen: FailpointName | null): Failpoint =>
  chosen === null
    ? NO_FAILPOINT
    : {
        hit(point) {
          if (point === chosen) process.kill(process.pid, 'SIGKILL');
        },
      };
