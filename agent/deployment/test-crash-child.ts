/**
 * One run of one deployment with steps whose effects are files, for the crash tests:
 * `node test-crash-child.ts FOLDER JOB_JSON FAILPOINT|none FAILING_STEP|none`. An effect made twice shows as an extra
 * line.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { Job } from '../../protocol/job.ts';
import { STEP_NAMES } from '../../protocol/steps.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { FailpointName } from './failpoint.ts';
import type { Pipeline } from './pipeline.ts';
import { runDeployment } from './runner.ts';
import { noSignals, openTestJournal, runnerParts, scriptedPipeline } from './test-bench.ts';
import type { ScriptedStep } from './test-bench.ts';

export const effectPath = (folder: string, step: StepName): string => join(folder, 'effects', step);

/** A step finds its own earlier effect; cutover's effect is the flip. */
function stepOnDisk(folder: string, name: StepName, failing: string): ScriptedStep {
  const path = effectPath(folder, name);
  return {
    async run({ log }) {
      log.write(Buffer.from(`${name} says hello\n`));
      if (name === failing) throw new OrkestrError('ORK_UNHEALTHY', 'it was told to fail');
      if (!existsSync(path)) writeFileSync(path, 'made\n');
      appendFileSync(join(folder, 'ledger'), `run ${name}\n`);
      return undefined;
    },
    async undo() {
      rmSync(path, { force: true });
      appendFileSync(join(folder, 'ledger'), `undo ${name}\n`);
    },
  };
}

export function pipelineOnDisk(folder: string, failing: string): Pipeline {
  mkdirSync(join(folder, 'effects'), { recursive: true });
  const script = Object.fromEntries(STEP_NAMES.map((name) => [name, stepOnDisk(folder, name, failing)]));
  return scriptedPipeline(script, async () => existsSync(effectPath(folder, 'cutover')));
}

if (import.meta.main) {
  const [folder = '', jobPath = '', failpoint = 'none', failing = 'none'] = process.argv.slice(2);
  const journal = await openTestJournal(folder);
  const job = Job.parse(JSON.parse(readFileSync(jobPath, 'utf8')));
  journal.accept(job);
  const parts = runnerParts({
    folder,
    journal,
    pipeline: pipelineOnDisk(folder, failing),
    failpoint: failpoint === 'none' ? null : (failpoint as FailpointName),
  });
  await runDeployment(parts, job.deploymentId, noSignals());
  journal.close();
}
