/** What is wrong with a live app that was seen once: pure, from the facts of a round to an error for people. */
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { ContainerState } from '../deployment/ports.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { describeExit } from '../lib/exit-code.ts';

/** A live app as a round has seen it. */
export interface SeenApp {
  readonly live: LiveRecord;
  /** Null: it is gone. */
  readonly container: ContainerState | null;
  /** Why it could not be brought back last time; null: it was, or nobody had to. */
  readonly failure: ErrorReport | null;
}

/** How the app ended last, as far as that was seen. */
export interface LastEnd {
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
}

const MOST_CHARACTERS = 500;
/** Failed revivals that only repeat that the app has ended. */
const ENDS: ReadonlySet<ErrorCode> = new Set(['ORK_APP_EXITED', 'ORK_APP_MEMORY']);

/** Why the app does not serve at this moment; null: it runs, and nothing is known against it. */
export function troubleOf({ live, container, failure }: SeenApp, last: LastEnd): ErrorReport | null {
  const other = failure !== null && !ENDS.has(failure.code) ? withoutOutput(failure) : null;
  if (container === null) return other ?? errorOf('ORK_APP_EXITED', 'The container of the app is gone.');
  if (!container.running) return other ?? endOf(last);
  if (other !== null) return other;
  return isUnhealthy(live, container)
    ? errorOf('ORK_UNHEALTHY', 'The app runs, but Docker reports it as unhealthy: the HEALTHCHECK of its image fails.')
    : null;
}

/** An app that has ended. */
export function endOf({ exitCode, oomKilled }: LastEnd): ErrorReport {
  if (oomKilled) return errorOf('ORK_APP_MEMORY', 'The app exceeded its memory limit and was killed.');
  if (exitCode === null) return errorOf('ORK_APP_EXITED', 'The app does not keep running.');
  return errorOf('ORK_APP_EXITED', `The app ${describeExit(exitCode)}.`);
}

/** An image's HEALTHCHECK says something only where the new version had to pass it. */
const isUnhealthy = ({ healthCheck }: LiveRecord, { imageHealth }: ContainerState): boolean =>
  imageHealth === 'unhealthy' && (healthCheck?.kind === 'auto' || healthCheck?.kind === 'image');

/** The evidence, and the answer to the last probe, may quote the app. */
const withoutOutput = ({ code, message }: ErrorReport): ErrorReport =>
  code === 'ORK_UNHEALTHY'
    ? errorOf(code, 'The app runs, but does not pass its health check after it was started again.')
    : errorOf(code, message.slice(0, MOST_CHARACTERS));

const errorOf = (code: ErrorCode, message: string): ErrorReport => ({ code, message, evidence: [] });
