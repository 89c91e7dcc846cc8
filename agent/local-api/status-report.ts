/** The state of the host, as in `orkestr-agent status`: all checks with their findings. */

/** ok: nothing to do. degraded: it works, but a person should look. down: deployments or visitors are affected. */
export type Level = 'ok' | 'degraded' | 'down';

export interface Finding {
  readonly level: Level;
  /** One line for people. */
  readonly summary: string;
  /** More lines for people, one fact each. */
  readonly details?: readonly string[];
  /** The same for programs. */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface StatusReport {
  readonly level: Level;
  readonly checks: Readonly<Record<string, Finding>>;
}

/**
 * How long Docker Engine, proxy, and the measuring of a cache may take, ms: `status` ends within 2 s whatever hangs.
 */
export const ANSWER_MS = 900;

/** Header with the time the agent may wait for its parts, ms. Agents of other releases may ignore it. */
export const ANSWER_HEADER = 'x-orkestr-answer-ms';
