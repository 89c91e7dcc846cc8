/**
 * What the engines tell about each exchange when it has ended. Metrics and access log hang here; it is called once per
 * request on the hot path, so it takes plain numbers and makes nothing unless a line is really written.
 */

import type { Outcome } from '../upstream/target.ts';

/** The ended exchange, as a view: valid only during the call. */
export interface Ended {
  readonly method: string;
  readonly host: string;
  /** Path and query as sent; the log leaves the query out. */
  readonly target: string;
  readonly clientAddress: string;
  readonly secure: boolean;
  readonly httpVersion: '1.0' | '1.1' | '2';
  readonly requestId: string;
  /** Of the answer; 0 when none was sent. */
  readonly status: number;
  readonly outcome: Outcome;
  /** Null when the request was answered by the proxy before any claim. */
  readonly targetId: string | null;
  /** From the complete head of the request to the last byte of the answer, ms. */
  readonly durationMs: number;
  /** From the complete head of the request to the head of the app's answer, ms; 0 when there was none. */
  readonly appMs: number;
  /** Body bytes from the client, and to it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Which engine carried it. */
  readonly engine: 'fast' | 'general' | 'h2';
}

/** Counters of one upstream, in place of labels looked up per request. */
export interface UpstreamMetrics {
  ended(exchange: Ended): void;
}

export interface Observer {
  /** The counters of an upstream; the engines keep what they get with the route. */
  upstream(id: string): UpstreamMetrics;
  /** A request that found no route, or was refused before one was looked up. */
  unrouted(exchange: Ended): void;
  /** An upstream is no longer in the table: its counters go after the last exchange. */
  forget(id: string): void;
}
