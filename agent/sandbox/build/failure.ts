/** Why a build failed: one sentence with evidence. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildLimits } from '../../../protocol/job.ts';
import type { FailedVertex } from '../progress/build-log.ts';
import {
  type Breach,
  breachIn,
  fullDisk,
  heapBreach,
  inodeBreach,
  processBreach,
  type Taken,
  toError,
} from './limits.ts';
import { type BuildVariables, missingVariable } from './missing-variable.ts';

/** From this share of used inodes on, a full disk counts as out of inodes. */
const INODES_GONE = 0.95;

/**
 * @param message the engine's own error message
 * @param taken the build's resource usage when it failed
 * @param variables names of variables that the build may lack
 */
export function explainFailure(
  message: string,
  failed: FailedVertex | null,
  taken: Taken,
  limits: BuildLimits,
  variables: BuildVariables,
): OrkestrError {
  const evidence = [message.trim(), ...(failed?.lastLines ?? [])];
  const breach = breachBehind(evidence, taken, limits);
  return breach === null
    ? inWords(message, failed, evidence, variables)
    : toError(breach, failed?.command ?? null, evidence);
}

/** V8 and the JVM size their heaps by the available memory and exit when the heap is full, below the memory limit. */
const HEAP_FULL = /JavaScript heap out of memory|java\.lang\.OutOfMemoryError/;

/** The limit behind a failure, or null. A command that hits a limit fails with its own message, if any. */
function breachBehind(evidence: readonly string[], taken: Taken, limits: BuildLimits): Breach | null {
  const breach = breachIn(taken, limits);
  if (breach !== null) return breach;
  if (/no space left on device|disk quota exceeded/i.test(evidence.join('\n'))) {
    return taken.inodes >= taken.inodeLimit * INODES_GONE ? inodeBreach(taken) : fullDisk(taken);
  }
  if (HEAP_FULL.test(evidence.join('\n'))) return heapBreach(limits);
  return taken.refusedForks > 0 ? processBreach(limits) : null;
}

function inWords(
  message: string,
  failed: FailedVertex | null,
  evidence: readonly string[],
  variables: BuildVariables,
): OrkestrError {
  if (/dockerfile parse error|unknown instruction|failed to parse|failed to create LLB definition/i.test(message)) {
    return new OrkestrError('ORK_DOCKERFILE_REFUSED', `The Dockerfile cannot be read: ${short(message)}`, { evidence });
  }
  if (/pull access denied|failed to resolve source metadata|load metadata for/i.test(message)) {
    return new OrkestrError('ORK_BASE_IMAGE', `A base image could not be fetched: ${short(message)}`, { evidence });
  }
  const command = failed?.command ?? null;
  const absent = absentFile(message, command);
  if (absent !== null) {
    const text = `There is no ${absent} for \`${command}\`: a build gets the files of the commit from the root directory on, without those that .dockerignore names.`;
    return new OrkestrError('ORK_BUILD_FAILED', text, { evidence });
  }
  const exitCode = /exit code: (\d+)/.exec(message)?.[1];
  if (exitCode !== undefined && failed !== null) {
    const lines = failed.lastLines.join('\n');
    const text = `\`${failed.command}\` ended with exit code ${exitCode}.${goneFromNode(lines)}${missingTools(lines)}${missingVariable(failed, variables)}`;
    return new OrkestrError('ORK_BUILD_FAILED', text, { evidence });
  }
  const where = command === null ? '' : ` in \`${command}\``;
  return new OrkestrError('ORK_BUILD_FAILED', `The build failed${where}: ${short(message)}`, { evidence });
}

/** The file that a COPY did not find in the context; null if it copies from a stage, or no file is missing. */
function absentFile(message: string, command: string | null): string | null {
  if (!/^(?:COPY|ADD) (?!.*--from=)/i.test(command ?? '')) return null;
  return /"\/?([^"]{1,300})":? not found/.exec(message)?.[1] ?? null;
}

/** Newer `node:lts` images lack programs that existing Dockerfiles rely on. */
function goneFromNode(lastLines: string): string {
  const program = /\b(corepack|yarn): (?:command )?not found/.exec(lastLines)?.[1];
  return program === undefined
    ? ''
    : ` Images of Node.js 26 no longer have ${program}: put \`RUN npm install --global ${program}\` above it.`;
}

/** Missing tools for compiling or fetching Node.js packages, as reported by node-gyp, npm, yarn and the shell. */
function missingTools(lastLines: string): string {
  return /gyp ERR! .*(?:find Python|not found: make)|spawn git ENOENT|syscall spawn git|\bgit: (?:command )?not found|the binary git\b/.test(
    lastLines,
  )
    ? ' The image has no compiler, or no git: put `apt-get update && apt-get install -y python3 make g++ git ca-certificates` above it, or in front of it in installCommand.'
    : '';
}

const short = (message: string): string => `${message.trim().replace(/\.$/, '').slice(0, 500)}.`;
