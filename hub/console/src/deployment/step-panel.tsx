/** One step in full. */
import type { StepName } from '../../../../protocol/steps.ts';
import type { Step } from '../../../api/schemas.ts';
import { apiPath } from '../../../api/paths.ts';
import { apiUrl } from '../api/client.ts';
import { Status } from '../components/status.tsx';
import { LogView } from '../log/log-view.tsx';
import { StepOutput } from './step-output.tsx';
import type { StepLog } from './store.ts';

interface Props {
  readonly deploymentId: string;
  readonly name: StepName;
  readonly step: Step | undefined;
  readonly log: StepLog;
}

export function StepPanel({ deploymentId, name, step, log }: Props) {
  const hasLog = log.version.value > 0 && log.buffer.bytes > 0;
  const running = step?.status === 'running';
  const download = apiUrl(`${apiPath('deployments', deploymentId)}/logs?step=${name}`);
  return (
    <section class="panel card" aria-labelledby="step-title">
      <header class="panel-head">
        <h2 id="step-title">{name}</h2>
        <Status status={step?.status ?? 'waiting'} text={step?.status ?? 'not started'} />
        {hasLog && (
          <a class="download" href={download} download={`${deploymentId}-${name}.log`}>
            Download log
          </a>
        )}
      </header>
      {step && <Result step={step} />}
      {(hasLog || running) && (
        <LogView buffer={log.buffer} version={log.version} running={running} label={`Log of ${name}`} />
      )}
    </section>
  );
}

/** A failed step's error is that of the deployment, which is shown above the steps. */
function Result({ step }: { step: Step }) {
  return (
    <>
      {step.note !== null && <p class="note">{step.note}</p>}
      <StepOutput step={step} />
    </>
  );
}
