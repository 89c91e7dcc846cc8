/** `orkestr-agent logs`: the step logs of a deployment from this host's files; no agent and no hub needed. */
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { Uuid } from '../../../protocol/ids.ts';
import { STEP_NAMES, StepName } from '../../../protocol/steps.ts';
import { logFolder } from '../../compose.ts';
import { readConfig } from '../../config.ts';
import { logPath } from '../../deployment/log.ts';

/** Adds `logs`. */
export function addLogsCommand(cli: Command): void {
  cli
    .command('logs [deployment]')
    .description('step logs of a deployment, the newest by default')
    .option('--step <step>', 'of one step only')
    .action((deploymentId: string | undefined, { step }: { step?: string }) =>
      printLogs({ folder: logFolder(readConfig()), deploymentId, step }, process.stdout),
    );
}

interface LogsRequest {
  readonly folder: string;
  /** Absent: the one that was written last. */
  readonly deploymentId?: string | undefined;
  /** Absent: all steps in their order, each under a heading. */
  readonly step?: string | undefined;
}

/** @throws OrkestrError ORK_NOT_FOUND, ORK_INVALID */
async function printLogs(request: LogsRequest, out: Writable): Promise<void> {
  const deploymentId = request.deploymentId ?? newest(request.folder);
  if (!Uuid.safeParse(deploymentId).success) throw new OrkestrError('ORK_INVALID', 'A deployment id is a UUID.');
  const paths = stepsOf(request.step).map((step) => ({ step, path: logPath(request.folder, deploymentId, step) }));
  const present = paths.filter(({ path }) => existsSync(path));
  if (present.length === 0) throw new OrkestrError('ORK_NOT_FOUND', `There is no such log of ${deploymentId} here.`);
  for (const { step, path } of present) {
    if (request.step === undefined) out.write(`==> ${step}\n`);
    await pipeline(createReadStream(path), out, { end: false });
  }
}

function stepsOf(step: string | undefined): readonly StepName[] {
  if (step === undefined) return STEP_NAMES;
  const known = StepName.safeParse(step);
  if (known.success) return [known.data];
  throw new OrkestrError('ORK_INVALID', `There is no step ${step}. The steps: ${STEP_NAMES.join(', ')}.`);
}

function newest(folder: string): string {
  const ids = existsSync(folder) ? readdirSync(folder).filter((name) => Uuid.safeParse(name).success) : [];
  const byTime = ids
    .map((id) => ({ id, at: statSync(join(folder, id)).mtimeMs }))
    .sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
  if (!byTime[0]) throw new OrkestrError('ORK_NOT_FOUND', 'There are no deployment logs on this host.');
  return byTime[0].id;
}
