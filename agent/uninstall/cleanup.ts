/** Takes what this agent made off the host. What one part cannot remove does not keep the others from going. */
import { toErrorReport } from '../../protocol/errors.ts';

export interface Cleanup {
  readonly what: string;
  /** @returns what was done, for people */
  run(): Promise<string | Warning>;
}

/** It is as removed as it can be; its owner is to know what that means. */
interface Warning {
  readonly warning: string;
}

export interface CleanupResult {
  readonly what: string;
  readonly level: 'done' | 'warning' | 'failed';
  readonly told: string;
}

/** In order; later ones may rely on earlier ones having been tried. */
export async function uninstall(
  cleanups: readonly Cleanup[],
  onResult: (result: CleanupResult) => void,
): Promise<readonly CleanupResult[]> {
  const results: CleanupResult[] = [];
  for (const cleanup of cleanups) {
    const { what } = cleanup;
    const result = await cleanup.run().then(
      (told): CleanupResult =>
        typeof told === 'string' ? { what, level: 'done', told } : { what, level: 'warning', told: told.warning },
      (error: unknown): CleanupResult => ({ what, level: 'failed', told: toErrorReport(error).message }),
    );
    results.push(result);
    onResult(result);
  }
  return results;
}
