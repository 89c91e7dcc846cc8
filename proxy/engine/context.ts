/** The dependencies that all engines of a process share. */
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
  /** Null when the proxy does not serve TLS. */
  readonly terminator: Terminator | null;
  /** True when the saved routing table could not be read: an unknown host is then not the visitor's mistake. */
  tableUnreadable(): boolean;
}

/** The general engine's interface for the others: it accepts the connections whose requests they do not serve. */
export interface Acceptor {
  /** @param peer the client at its other end; absent: derived from the connection */
  accept(connection: Duplex, peer?: Client): void;
}
