/** Why a build failed, in one sentence with evidence. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import type { FailedVertex } from './build-log.ts';
import { breachIn, fullDisk, inodeBreach, processBreach, type Taken, toError } from './limits.ts';

/** Share of the inodes from which on a full disk is one without inodes. */
const INODES_GONE = 0.95;

/**
 * @param message the engine's own words
 * @param taken what the build had taken when it failed
 */
export function explainFailure(
  message: string,
  failed: FailedVertex | null,
  taken: Taken,
  limits: BuildLimits,
): OrkestrError {
  const command = failed?.command ?? null;
  const where = command === null ? '' : ` in \`${command}\``;
  const evidence = [message.trim(), ...(failed?.lastLines ?? [])];
  // A command that met a limit fails in its own words, if it says any.
  const breach = breachIn(taken, limits);
  if (breach !== null) return toError(breach, command, evidence);
  if (/no space left on device|disk quota exceeded/i.test(evidence.join('\n'))) {
    const inodes = taken.inodes >= taken.inodeLimit * INODES_GONE;
    return toError(inodes ? inodeBreach(taken) : fullDisk(taken), command, evidence);
  }
  if (taken.refusedForks > 0) return toError(processBreach(limits), command, evidence);
  if (/dockerfile parse error|unknown instruction|failed to parse|failed to create LLB definition/i.test(message)) {
    return new OrkestrError('ORK_DOCKERFILE_REFUSED', `The Dockerfile cannot be read: ${short(message)}`, { evidence });
  }
  if (/pull access denied|failed to resolve source metadata|load metadata for/i.test(message)) {
    return new OrkestrError('ORK_BASE_IMAGE', `A base image could not be had: ${short(message)}`, { evidence });
  }
  const exitCode = /exit code: (\d+)/.exec(message)?.[1];
  if (exitCode !== undefined && failed !== null) {
    const text = `\`${failed.command}\` ended with exit code ${exitCode}.${goneFromNode(failed.lastLines)}`;
    return new OrkestrError('ORK_BUILD_FAILED', text, { evidence });
  }
  return new OrkestrError('ORK_BUILD_FAILED', `The build failed${where}: ${short(message)}`, { evidence });
}

/** `node:lts` has moved on under Dockerfiles that were written for images with more in them. */
function goneFromNode(lastLines: readonly string[]): string {
  const program = /\b(corepack|yarn): (?:command )?not found/.exec(lastLines.join('\n'))?.[1];
  return program === undefined
    ? ''
    : ` Images of Node.js 26 have no ${program} any more: put \`RUN npm install --global ${program}\` above it.`;
}

const short = (message: string): string => `${message.trim().replace(/\.$/, '').slice(0, 500)}.`;
