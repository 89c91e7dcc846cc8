/** What a connection to a target tells the pool that it is of, and has of it. */
import type { Timeouts } from '../config.ts';
import type { TargetConnection } from './connection.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { ResponseHead } from './response-head.ts';

export interface ConnectionOwner {
  readonly timeouts: Timeouts;
  readonly buffers: ReadBuffers;
  /** What heads of answers are read with, all one after the other: it is 2 KiB, and hot in the core's cache. */
  readonly head: ResponseHead;
  /** Coarse monotonic time, ms. */
  readonly now: number;
  /** The call is over and the connection can carry another. */
  idle(connection: TargetConnection): void;
  closed(connection: TargetConnection): void;
}
