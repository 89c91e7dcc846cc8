/** Removes what this agent made on the host. A part that fails does not stop the others. */
import { toErrorReport } from '../../protocol/errors.ts';

export interface Cleanup {
  readonly what: string;
  /** Kept if anything before it failed: without it nobody can run the uninstallation again. */
  readonly isNeededToGoOn?: true;
  /** @returns what was done, for people */
  run(): Promise<string | Warning>;
}

/** Removed as far as possible, but the owner should know about the rest. */
interface Warning {
  readonly warning: string;
}

export interface CleanupResult {
  readonly what: string;
  readonly level: 'done' | 'warning' | 'failed';
  readonly told: string;
}

/** Runs the parts in order: later ones may rely on earlier ones having been tried. */
export async function uninstall(
  cleanups: readonly Cleanup[],
  onResult: (result: CleanupResult) => void,
): Promise<readonly CleanupResult[]> {
  const results: CleanupResult[] = [];
  for (const cleanup of cleanups) {
    const hasFailed = results.some(({ level }) => level === 'failed');
    const result = cleanup.isNeededToGoOn && hasFailed ? keptOf(cleanup) : await resultOf(cleanup);
    results.push(result);
    onResult(result);
  }
  return results;
}

async function resultOf(cleanup: Cleanup): Promise<CleanupResult> {
  const { what } = cleanup;
  try {
    const told = await cleanup.run();
    return typeof told === 'string' ? { what, level: 'done', told } : { what, level: 'warning', told: told.warning };
  } catch (error) {
    return { what, level: 'failed', told: toErrorReport(error).message };
  }
}

const keptOf = ({ what }: Cleanup): CleanupResult => ({
  what,
  level: 'warning',
  told: 'kept for now: fix what failed, then uninstall again',
});
