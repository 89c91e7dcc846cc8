/** The seven steps with state and time; selecting one shows its details. */
import type { StepName } from '../../../../protocol/steps.ts';
import type { Step } from '../../../api/schemas.ts';
import { formatDuration } from '../../../cli/text/format.ts';
import { stepSummary } from '../../../cli/text/step-summary.ts';
import { StatusMark } from '../components/status.tsx';
import { Duration } from '../components/time.tsx';
import { STEPS, hasEnded } from './progress.ts';
import type { Progress } from './progress.ts';

interface Props {
  readonly progress: Progress;
  readonly selected: StepName;
  readonly select: (step: StepName) => void;
}

export function StepList({ progress, selected, select }: Props) {
  return (
    <ol class="steps" aria-label="Steps">
      {STEPS.map((name) => (
        <StepEntry
          key={name}
          name={name}
          step={progress.steps.get(name)}
          ended={hasEnded(progress.deployment)}
          selected={name === selected}
          select={() => select(name)}
        />
      ))}
    </ol>
  );
}

interface EntryProps {
  readonly name: StepName;
  readonly step: Step | undefined;
  /** No further step will start. */
  readonly ended: boolean;
  readonly selected: boolean;
  readonly select: () => void;
}

function StepEntry({ name, step, ended, selected, select }: EntryProps) {
  const status = step?.status ?? (ended ? 'none' : 'waiting');
  const summary = step === undefined ? '' : (step.error?.code ?? stepSummary(step));
  return (
    <li data-state={status}>
      <button type="button" class="step" aria-pressed={selected} onClick={select}>
        <StatusMark status={status} />
        <span class="step-name">{name}</span>
        <span class="unseen"> {status === 'none' ? 'not reached' : status} </span>
        <span class="step-time">
          <StepTime step={step} />
        </span>
        {summary !== '' && <span class="step-what">{summary}</span>}
      </button>
    </li>
  );
}

function StepTime({ step }: { step: Step | undefined }) {
  if (step?.status === 'running') return <Duration from={step.startedAt} to={null} />;
  return step?.ms == null ? null : <span class="number">{formatDuration(step.ms)}</span>;
}
