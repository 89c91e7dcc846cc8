/** A Docker Engine as the rest of the agent sees it; docker/engine.ts makes one. */
import type Docker from 'dockerode';

interface CallOptions {
  /** Deadline in ms; absent: the engine's default. For streams it covers the time until the response begins. */
  readonly timeoutMs?: number;
  /** Ends the call early with ORK_CANCELLED. */
  readonly signal?: AbortSignal;
}

export interface Engine {
  readonly socketPath: string;
  /**
   * Calls the engine. `work` gets a client and a signal that aborts at the deadline: pass it on as `abortSignal`.
   * @throws OrkestrError ORK_ENGINE_TIMEOUT, ORK_ENGINE_UNREACHABLE, ORK_DISK_FULL, ORK_CANCELLED. Responses with an
   *   HTTP error status are thrown as dockerode's errors, see {@link statusOf}.
   */
  call<T>(what: string, work: (docker: Docker, signal: AbortSignal) => Promise<T>, options?: CallOptions): Promise<T>;
}

/** HTTP status of an engine's response that dockerode threw; undefined for any other error. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** The result of `work`, or null if the engine responds with 404. */
export async function orNull<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}
