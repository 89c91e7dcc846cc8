/** A status as a mark and a word: never by colour alone. */
import type { DeploymentStatus } from '../../../../protocol/agent-link.ts';
import type { StepStatus } from '../../../../protocol/steps.ts';

type AnyStatus = DeploymentStatus | StepStatus | 'waiting' | 'online' | 'offline' | 'none';

const TONES: Readonly<Record<AnyStatus, string>> = {
  live: 'good',
  done: 'good',
  online: 'good',
  running: 'busy',
  queued: 'busy',
  waiting: 'quiet',
  failed: 'bad',
  offline: 'bad',
  cancelled: 'warn',
  skipped: 'quiet',
  superseded: 'quiet',
  none: 'quiet',
};

export function Status({ status, text = status }: { status: AnyStatus; text?: string }) {
  return (
    <span class="status" data-tone={TONES[status]}>
      <StatusMark status={status} />
      {text}
    </span>
  );
}

/** The mark alone, for where the word stands elsewhere. */
export function StatusMark({ status }: { status: AnyStatus }) {
  return <span class="status-mark" data-tone={TONES[status]} data-status={status} aria-hidden="true" />;
}
