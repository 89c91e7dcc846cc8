/** The interface of the pool to its connections. */
import type { Timeouts } from '../config.ts';
import type { TargetConnection } from './connection.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { ResponseHead } from './response-head.ts';

export interface ConnectionOwner {
  readonly timeouts: Timeouts;
  readonly buffers: ReadBuffers;
  /**
   * The parser shared by all response heads, which are read one at a time: it is 2 KiB, and stays in the core's cache.
   */
  readonly head: ResponseHead;
  /** Coarse monotonic time, ms. */
  readonly now: number;
  /** The call is over and the connection can carry another one. */
  idle(connection: TargetConnection): void;
  closed(connection: TargetConnection): void;
}
