/** Takes what this agent made off the host. What one part cannot remove does not keep the others from going. */
import { toErrorReport } from '../../protocol/errors.ts';

export interface Cleanup {
  readonly what: string;
  /** @returns what was done, for people */
  run(): Promise<string>;
}

export interface CleanupResult {
  readonly what: string;
  readonly ok: boolean;
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
      (told) => ({ what, ok: true, told }),
      (error: unknown) => ({ what, ok: false, told: toErrorReport(error).message }),
    );
    results.push(result);
    onResult(result);
  }
  return results;
}
