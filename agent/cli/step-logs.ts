/** Prints step logs of a deployment from this host's files: raw bytes to a file or pipe, safe lines to a terminal. */
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { Uuid } from '../../protocol/ids.ts';
import { LogLines } from '../../protocol/log-lines.ts';
import { safeLine } from '../../protocol/safe-text.ts';
import { STEP_NAMES, StepName } from '../../protocol/steps.ts';
import { logPath } from '../deployment/log.ts';

interface LogsRequest {
  readonly folder: string;
  /** Absent: the deployment whose log was written last. */
  readonly deploymentId?: string | undefined;
  /** Absent: all steps in order, each under a heading. */
  readonly step?: string | undefined;
}

/** @throws OrkestrError ORK_NOT_FOUND, ORK_INVALID */
export async function printStepLogs(request: LogsRequest, out: Writable & { readonly isTTY?: boolean }): Promise<void> {
  const deploymentId = request.deploymentId ?? newest(request.folder);
  if (!Uuid.safeParse(deploymentId).success) throw new OrkestrError('ORK_INVALID', 'A deployment id is a UUID.');
  const paths = stepsOf(request.step).map((step) => ({ step, path: logPath(request.folder, deploymentId, step) }));
  const present = paths.filter(({ path }) => existsSync(path));
  if (present.length === 0) throw new OrkestrError('ORK_NOT_FOUND', `This host has no such log of ${deploymentId}.`);
  for (const { step, path } of present) {
    if (request.step === undefined) out.write(`==> ${step}\n`);
    const log = createReadStream(path);
    await (out.isTTY === true ? pipeline(log, safeLines, out, { end: false }) : pipeline(log, out, { end: false }));
  }
}

async function* safeLines(parts: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const lines = new LogLines();
  const safe = (ready: readonly string[]): string => ready.map((line) => `${safeLine(line, true)}\n`).join('');
  for await (const part of parts) yield safe(lines.push(part));
  yield safe(lines.end());
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
