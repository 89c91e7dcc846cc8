/** Why a build failed, in one sentence with evidence. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import type { FailedVertex } from './build-log.ts';

/**
 * @param message the engine's own words
 * @param oomKills processes that the kernel killed for want of memory during this build
 */
export function explainFailure(
  message: string,
  failed: FailedVertex | null,
  oomKills: number,
  limits: BuildLimits,
): OrkestrError {
  const where = failed === null ? '' : ` in \`${failed.command}\``;
  const evidence = [message.trim(), ...(failed?.lastLines ?? [])];
  if (/no space left on device|disk quota exceeded/i.test([message, ...(failed?.lastLines ?? [])].join('\n'))) {
    return new OrkestrError('ORK_DISK_FULL', `The disk of the host is full${where}.`, { evidence });
  }
  if (oomKills > 0) {
    const text = `The build ran out of memory: limit ${limits.memoryMiB} MiB${where === '' ? '' : `,${where}`}.`;
    return new OrkestrError('ORK_BUILD_MEMORY', text, { evidence });
  }
  if (/dockerfile parse error|unknown instruction|failed to parse|failed to create LLB definition/i.test(message)) {
    return new OrkestrError('ORK_DOCKERFILE_REFUSED', `The Dockerfile cannot be read: ${short(message)}`, { evidence });
  }
  if (/pull access denied|failed to resolve source metadata|load metadata for/i.test(message)) {
    return new OrkestrError('ORK_BASE_IMAGE', `A base image could not be had: ${short(message)}`, { evidence });
  }
  const exitCode = /exit code: (\d+)/.exec(message)?.[1];
  if (exitCode !== undefined && failed !== null) {
    const text = `\`${failed.command}\` ended with exit code ${exitCode}.`;
    return new OrkestrError('ORK_BUILD_FAILED', text, { evidence });
  }
  return new OrkestrError('ORK_BUILD_FAILED', `The build failed${where}: ${short(message)}`, { evidence });
}

const short = (message: string): string => `${message.trim().replace(/\.$/, '').slice(0, 500)}.`;
