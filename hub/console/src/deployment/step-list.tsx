/** The seven steps with their state and time; choosing one shows it beside. */
import type { StepName } from '../../../../protocol/steps.ts';
import type { Step } from '../../../api/schemas.ts';
import { formatDuration } from '../../../cli/text/format.ts';
import { stepSummary } from '../../../cli/text/step-summary.ts';
import { Status } from '../components/status.tsx';
import { Duration } from '../components/time.tsx';
import { STEPS } from './progress.ts';
import type { Progress } from './progress.ts';

interface Props {
  readonly progress: Progress;
  readonly selected: StepName;
  readonly select: (step: StepName) => void;
}

export function StepList({ progress, selected, select }: Props) {
  return (
    <ol class="steps" aria-label="Steps">
      {STEPS.map((name) => {
        const step = progress.steps.get(name);
        return (
          <li key={name}>
            <button
              type="button"
              class="step"
              aria-pressed={name === selected}
              data-state={step?.status ?? 'waiting'}
              onClick={() => select(name)}
            >
              <span class="step-name">{name}</span>
              <span class="step-time">
                <StepTime step={step} />
              </span>
              <span class="step-what">
                <Status status={step?.status ?? (progress.ended ? 'none' : 'waiting')} text={wordFor(step, progress)} />
              </span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

function StepTime({ step }: { step: Step | undefined }) {
  if (step?.status === 'running') return <Duration from={step.startedAt} to={null} />;
  return step?.ms == null ? null : <span class="number">{formatDuration(step.ms)}</span>;
}

function wordFor(step: Step | undefined, progress: Progress): string {
  if (step === undefined) return progress.ended ? 'not reached' : 'waiting';
  return stepSummary(step) || step.status;
}
