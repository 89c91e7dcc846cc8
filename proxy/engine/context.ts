/** What all engines of a process are given. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Limits, Timeouts } from '../config.ts';
import type { Observer } from '../observe/observer.ts';
import type { Plane } from '../plane.ts';
import type { Client } from '../policy/client-address.ts';
import type { Terminator } from '../tls/terminator.ts';
import type { FailureLog } from './failure-log.ts';

export interface Context {
  readonly plane: Plane;
  readonly observer: Observer;
  readonly failures: FailureLog;
  readonly limits: Limits;
  readonly timeouts: Timeouts;
  readonly clock: Clock;
  /** Null when the proxy speaks no TLS. */
  readonly terminator: Terminator | null;
  /** True when the saved table could not be read: an unknown host is then no fault of the visitor. */
  tableUnreadable(): boolean;
}

/** The general engine as the others know it: it takes the connections whose requests they do not serve themselves. */
export interface Acceptor {
  /** @param peer the client at its other end; absent: what the connection knows */
  accept(connection: Duplex, peer?: Client): void;
}
