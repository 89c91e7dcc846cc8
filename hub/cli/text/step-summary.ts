/** A step in one line: its mark, and a summary of its output. Pure; shared by the CLI and the console. */
import type { StepOutputs } from '../../../protocol/steps.ts';
import type { Step } from '../../api/schemas.ts';
import { humanSize } from '../../../protocol/size.ts';
import { count, shortCommit } from './format.ts';
import { receiptText } from './receipt.ts';

/** The mark before a step. */
export const STEP_MARKS: Readonly<Record<Step['status'], string>> = {
  running: '▸',
  done: '✓',
  failed: '✗',
  skipped: '–',
  cancelled: '–',
};

type Summaries = { readonly [N in Step['name']]: (output: StepOutputs[N]) => string };

const SUMMARIES: Summaries = {
  clone: (checkout) => `${shortCommit(checkout.commit)} ${checkout.subject}`,
  analyze: (plan) => [plan.framework, plan.runtime, plan.port && `port ${plan.port}`].filter(Boolean).join(' · '),
  build: ({ bytes, peakMemoryBytes, summary, rebuild, registryReference }) =>
    [
      humanSize(bytes),
      rebuild && (rebuild.identical ? 'identical to its release' : `not identical: ${rebuild.differences[0]}`),
      summary && `${summary.cached} of ${count(summary.steps, 'step')} from the cache`,
      peakMemoryBytes && `peak memory ${humanSize(peakMemoryBytes)}`,
      registryReference && `in ${registryReference.split('/', 1)[0]}`,
    ]
      .filter(Boolean)
      .join(' · '),
  deploy: (target) => (target.worker ? target.address : `${target.address}:${target.port} (${target.portFrom})`),
  health: (report) =>
    [
      report.last,
      report.probe !== 'running' && count(report.attempts, 'attempt'),
      report.foundPort && `found on port ${report.foundPort}`,
    ]
      .filter(Boolean)
      .join(' · '),
  cutover: receiptText,
  finalize: (release) =>
    release.prunedImages.length === 0 ? 'live' : `live · ${count(release.prunedImages.length, 'old image')} pruned`,
};

/** Text after a step's name: its error, its note, or a summary of its output. May be empty. */
export function stepSummary(step: Step): string {
  if (step.error !== null) return step.error.message;
  if (step.note !== null) return step.note;
  if (step.status !== 'done' || step.output === null) return '';
  // The hub validated the output against StepOutputs[step.name] when the report arrived.
  const summarize = SUMMARIES[step.name] as (output: unknown) => string;
  return summarize(step.output);
}
