/** A status as a mark and a word: never by colour alone. */
import type { DeploymentStatus } from '../../../../protocol/agent-link.ts';
import type { StepStatus } from '../../../../protocol/steps.ts';
import type { Upgrade } from '../../../api/schemas.ts';

type AnyStatus =
  | DeploymentStatus
  | StepStatus
  | Upgrade['state']
  | Upgrade['hosts'][number]['state']
  | 'online'
  | 'offline'
  | 'refused'
  | 'down'
  | 'none';

const TONES: Readonly<Record<AnyStatus, string>> = {
  live: 'good',
  done: 'good',
  online: 'good',
  healthy: 'good',
  running: 'busy',
  queued: 'busy',
  ordered: 'busy',
  fetching: 'busy',
  trial: 'busy',
  switching: 'busy',
  waiting: 'quiet',
  failed: 'bad',
  offline: 'bad',
  refused: 'bad',
  down: 'bad',
  reverted: 'bad',
  paused: 'warn',
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

/** The mark alone, when the word is shown elsewhere. */
export function StatusMark({ status }: { status: AnyStatus }) {
  return <span class="status-mark" data-tone={TONES[status]} data-status={status} aria-hidden="true" />;
}
