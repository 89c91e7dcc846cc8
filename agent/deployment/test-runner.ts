/** For tests: the runner with scripted steps, the real journal, and a clock whose short sleeps end at once. */
import type { TestContext } from 'node:test';
import type { Report } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { Journal } from '../journal/journal.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { noSignals, openTestJournal, runnerParts, scriptedPipeline } from './test-bench.ts';
import { hastyClock } from './test-clock.ts';
import type { ScriptedStep } from './test-bench.ts';
import type { Pipeline } from './pipeline.ts';
import type { Clock, Ports } from './ports.ts';
import { runDeployment } from './runner.ts';
import type { RunSignals } from './run.ts';

export type Script = Partial<Record<StepName, ScriptedStep>>;

interface Bench {
  readonly journal: Journal;
  readonly folder: string;
  readonly pipeline: ReturnType<typeof scriptedPipeline>;
  readonly run: (deploymentId: string, signals?: RunSignals) => Promise<void>;
  readonly reports: () => Report[];
}

/** A state folder with a journal, and a runner for the jobs accepted there. */
export async function bench(
  t: TestContext,
  script: Script = {},
  options: Partial<Pick<Pipeline, 'hasFlipped' | 'isTargetUp'>> & { ports?: Partial<Ports>; clock?: Clock } = {},
): Promise<Bench> {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const pipeline = scriptedPipeline(script, options.hasFlipped, options.isTargetUp);
  const parts = runnerParts({
    folder,
    journal,
    pipeline,
    ...(options.ports && { ports: options.ports }),
    clock: options.clock ?? hastyClock(),
  });
  return {
    journal,
    folder,
    pipeline,
    run: (deploymentId, signals = noSignals()) => runDeployment(parts, deploymentId, signals),
    reports: () => journal.outbox.after(0, 1000).flatMap((row) => (row.kind === 'report' ? [row.report] : [])),
  };
}

/** Steps and deployments with their statuses, in the order of the reports. */
export const told = (reports: Report[]): string[] =>
  reports.flatMap((report) => {
    if (report.kind === 'step') return [`${report.step} ${report.status}`];
    return report.kind === 'deployment' ? [`deployment ${report.status}`] : [];
  });

export const failing = (code: 'ORK_BUILD_FAILED' | 'ORK_UNHEALTHY' | 'ORK_INTERNAL'): ScriptedStep => ({
  async run() {
    throw new OrkestrError(code, 'it failed', { evidence: ['exit code 1'] });
  },
});
