/** The full output of a step: build plan with its evidence, image, health report, cutover receipt. */
import type { ComponentChildren } from 'preact';
import type { StepOutputs } from '../../../../protocol/steps.ts';
import type { Step } from '../../../api/schemas.ts';
import { humanSize } from '../../../../protocol/size.ts';
import { formatDuration } from '../../../cli/text/format.ts';
import { Facts } from '../components/facts.tsx';
import { Age } from '../components/time.tsx';
import { Receipt } from './receipt.tsx';

type Views = { readonly [N in Step['name']]: (output: StepOutputs[N]) => ComponentChildren };

export function StepOutput({ step }: { step: Step }) {
  if (step.status !== 'done' || step.output === null) return null;
  // The hub validated the output against StepOutputs[step.name] when the report arrived.
  const view = VIEWS[step.name] as (output: unknown) => ComponentChildren;
  return <div class="output">{view(step.output)}</div>;
}

const VIEWS: Views = {
  clone: (checkout) => (
    <Facts
      of={[
        ['Commit', <code>{checkout.commit}</code>],
        ['Subject', checkout.subject],
        ['Author', checkout.author],
        ['Size', `${checkout.files} files, ${humanSize(checkout.bytes)}`],
      ]}
    />
  ),
  analyze: (plan) => <BuildPlanView plan={plan} />,
  build: (image) => (
    <Facts
      of={[
        ['Image', <code>{image.id.slice(0, 19)}</code>],
        ['Registry', image.registryReference && <code>{image.registryReference}</code>],
        ['Size', humanSize(image.bytes)],
        ['From the cache', image.summary && `${image.summary.cached} of ${image.summary.steps} steps`],
        ['Slowest', image.summary?.slowest.map(({ name, ms }) => `${formatDuration(ms)} ${name}`).join(', ')],
        ['New layers', newLayers(image)],
        [
          'Built again',
          image.rebuild && (image.rebuild.identical ? 'identical' : image.rebuild.differences.join('; ')),
        ],
        ['Peak memory', image.peakMemoryBytes !== null && humanSize(image.peakMemoryBytes)],
        ['Made from', Object.keys(image.baseImages).join(', ')],
        ['Exposes', image.exposedPorts.join(', ')],
      ]}
    />
  ),
  deploy: (target) => (
    <Facts
      of={[
        ['Address', <code>{target.worker ? target.address : `${target.address}:${target.port}`}</code>],
        ['Port from', target.portFrom],
        ['Container', <code>{target.containerName}</code>],
      ]}
    />
  ),
  health: (report) => (
    <Facts
      of={[
        ['Probe', report.probe],
        ['Last answer', report.last],
        ['Attempts', report.probe !== 'running' && `${report.attempts} in ${formatDuration(report.ms)}`],
        ['Found on port', report.foundPort],
        ['Listens on', report.listeners.map(({ address, port }) => `${address}:${port}`).join(', ')],
      ]}
    />
  ),
  cutover: (receipt) => <Receipt receipt={receipt} />,
  finalize: (release) => (
    <Facts
      of={[
        ['Live since', <Age at={release.liveAt} />],
        ['Supersedes', release.supersedes && <a href={`/deployments/${release.supersedes}`}>{release.supersedes}</a>],
        ['Images pruned', release.prunedImages.length],
      ]}
    />
  ),
};

function newLayers({ summary }: StepOutputs['build']): string | undefined {
  if (!summary) return undefined;
  const { layers, sentBytes } = summary;
  const size = humanSize(sentBytes);
  return layers === null ? `all (${size})` : `${layers.sent} of ${layers.all} (${size})`;
}

function BuildPlanView({ plan }: { plan: StepOutputs['analyze'] }) {
  return (
    <>
      <table class="plan">
        <caption class="unseen">What was found, and where</caption>
        <thead>
          <tr>
            <th scope="col">Found</th>
            <th scope="col">Value</th>
            <th scope="col">From</th>
          </tr>
        </thead>
        <tbody>
          {plan.evidence.map((fact) => (
            <tr key={`${fact.subject} ${fact.value} ${fact.from}`}>
              <th scope="row">{fact.subject}</th>
              <td>
                <code>{fact.value}</code>
              </td>
              <td class="faint">{fact.from}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {plan.warnings.map((warning) => (
        <p key={warning} class="warning">
          {warning}
        </p>
      ))}
      <details class="file">
        <summary>
          {plan.dockerfile.path} <span class="tag">{plan.dockerfile.origin}</span>
        </summary>
        <pre tabIndex={0}>{plan.dockerfile.text}</pre>
      </details>
    </>
  );
}
