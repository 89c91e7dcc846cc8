/** A deployment that is being looked at: fetched once, then kept current by its event stream. */
import { signal } from '@preact/signals';
import type { z } from 'zod';
import type { ReadonlySignal } from '@preact/signals';
import type { DeploymentDetail } from '../../../api/schemas.ts';
import type { StepName } from '../../../../protocol/steps.ts';
import { apiPath, call } from '../api/client.ts';
import { listen } from '../api/stream.ts';
import { LogBuffer } from '../log/log-buffer.ts';
import { STEPS, fold, startProgress } from './progress.ts';
import type { Progress } from './progress.ts';

export interface StepLog {
  readonly buffer: LogBuffer;
  /** Grows with every change of the buffer. */
  readonly version: ReadonlySignal<number>;
}

export interface DeploymentView {
  readonly progress: ReadonlySignal<Progress>;
  readonly connected: ReadonlySignal<boolean>;
  readonly detail: Detail;
  log(step: StepName): StepLog;
  close(): void;
}

type Detail = z.infer<typeof DeploymentDetail>;

/** @throws ApiError when there is no such deployment. */
export async function openDeployment(id: string, abort: AbortSignal): Promise<DeploymentView> {
  const detail = await call<Detail>('GET', apiPath('deployments', id), undefined, abort);
  const progress = signal(startProgress(detail, detail.steps));
  const connected = signal(true);
  const logs = new Map(STEPS.map((step) => [step, { buffer: new LogBuffer(), version: signal(0) }]));
  const logOf = (step: StepName) => {
    const log = logs.get(step);
    if (log === undefined) throw new Error(`There is no step ${step}.`);
    return log;
  };
  const close = listen(id, {
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
        connected.value = true; // nothing more to come: a closed stream is as it should be
      }
    },
  });
  return { progress, connected, detail, log: logOf, close };
}
