/** The view of a deployment: its fetched state, kept current by its event stream. */
import { signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import type { DeploymentDetail, DeploymentEvent } from '../../../api/schemas.ts';
import type { StepName } from '../../../../protocol/steps.ts';
import { apiPath } from '../../../api/paths.ts';
import { listen } from '../api/stream.ts';
import { LogBuffer } from '../log/log-buffer.ts';
import { STEPS, fold, refresh, startProgress } from './progress.ts';
import type { Progress } from './progress.ts';

export interface StepLog {
  readonly buffer: LogBuffer;
  /** Incremented with every change of the buffer. */
  readonly version: ReadonlySignal<number>;
}

interface DeploymentView {
  readonly progress: ReadonlySignal<Progress>;
  readonly connected: ReadonlySignal<boolean>;
  log(step: StepName): StepLog;
  /** Merges a newly fetched state: changes after the end of a deployment are not in the stream. */
  refresh(detail: DeploymentDetail): void;
  /** Follows the stream from its current position until its end or until the returned function is called. */
  follow(): () => void;
}

export function makeDeploymentView(detail: DeploymentDetail): DeploymentView {
  const progress = signal(startProgress(detail, detail.steps));
  const connected = signal(true);
  const logs = new Map(STEPS.map((step) => [step, { buffer: new LogBuffer(), version: signal(0) }]));
  const logOf = (step: StepName) => {
    const log = logs.get(step);
    if (log === undefined) throw new Error(`There is no step ${step}.`);
    return log;
  };
  const follow = (): (() => void) =>
    listen<DeploymentEvent>(`${apiPath('deployments', detail.id)}/events`, {
      isEnd: ({ kind }) => kind === 'end',
      connected: (now) => (connected.value = now),
      event(event) {
        progress.value = fold(progress.value, event);
        if (event.kind === 'log') {
          logOf(event.step).buffer.append(event.data, event.offset);
          logOf(event.step).version.value += 1;
        } else if (event.kind === 'step' && event.step.status !== 'running') {
          logOf(event.step.name).buffer.end();
          logOf(event.step.name).version.value += 1;
        } else if (event.kind === 'end') {
          connected.value = true; // the stream is complete, so being closed is normal
        }
      },
    });
  return {
    progress,
    connected,
    log: logOf,
    refresh: (fetched) => (progress.value = refresh(progress.value, fetched)),
    follow,
  };
}
